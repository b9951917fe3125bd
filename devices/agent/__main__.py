"""``python -m devices.agent serve``: the agent from an installed package."""

from devices.agent.cli import main

main(program="python -m devices.agent")
