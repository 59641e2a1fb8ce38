"""Run the portfolio on the live tape."""

from services.portfolio.metrics import observe
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.service import serve
from tape.settings import load

if __name__ == "__main__":
    serve(Portfolio(load(PortfolioSettings, "portfolio")), observe=observe())
