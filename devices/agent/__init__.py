"""Devices of other boards: an agent measures there what a `RemoteDevice` asks for here."""
