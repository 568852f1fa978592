"""MyProperty data platform: settings, embedded engines and the `myproperty` command."""
