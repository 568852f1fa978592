"""Alerts: what the platform tells people outside of Dagster, by Slack, e-mail or a webhook.

`text` makes text from outside safe, `messages` composes messages, `facts` reads what they say, `outbox` keeps
them until they are sent, and `channels` sends them. The sensors are in `dagster_project.defs.alerts`.
"""
