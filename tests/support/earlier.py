"""The earlier system's presets in their documented form."""

PRODUCTION = """
seed: 42
number_of_companies: {companies}
drivers_per_company: {drivers}
event_rate_per_driver: {rate}     # expected events per driver in 15 minutes
company_onboarding_interval: PT1H
driver_event_interval: PT15M
"""
EMULATED = (
    PRODUCTION.format(companies=100, drivers=10, rate=3.5)
    + """
emulated_mode:
  enabled: true
  company_batch_interval: PT{seconds}S
  driver_batch_interval: PT{seconds}S
  companies_per_batch: {companies}
  events_per_batch_min: {least}
  events_per_batch_max: {most}
"""
)
PRESETS = {
    "config.emulated.yaml": EMULATED.format(seconds=10, companies=10, least=5, most=20),
    "config.emulated.5s.yaml": EMULATED.format(seconds=5, companies=5, least=3, most=10),
    "config.emulated.30s.yaml": EMULATED.format(seconds=30, companies=20, least=10, most=50),
    "config.small.yaml": PRODUCTION.format(companies=5, drivers=5, rate=2.0),
    "config.base.yaml": PRODUCTION.format(companies=100, drivers=10, rate=3.5),
    "config.scaling.yaml": PRODUCTION.format(companies=1000, drivers=20, rate=5.0),
}
OURS = {
    "config.emulated.yaml": "emulated",
    "config.emulated.5s.yaml": "emulated-5s",
    "config.emulated.30s.yaml": "emulated-30s",
    "config.small.yaml": "small",
    "config.base.yaml": "base",
    "config.scaling.yaml": "scaling",
}
"""Which of our presets each of them became."""

QUALITY = """
quality_injection:
  enabled: true
  error_rate: 0.25
  missing_field_probability: 0.5
  null_value_probability: 0.2
  malformed_timestamp_probability: 0.1
  invalid_enum_probability: 0.1
  duplicate_probability: 0.05
  boundary_violation_probability: 0.05
  inject_in_driver_events: true
  inject_in_companies: false
  log_injected_issues: true
"""
