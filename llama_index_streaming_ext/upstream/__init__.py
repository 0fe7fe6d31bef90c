"""Names of upstream that are private: the only place that spells them, each with its canary."""
