"""Owns Grafana's dashboards, as a program that writes their JSON; leaves what they are shown by to etc/grafana."""
