"""What the solar of a property is measured against."""
