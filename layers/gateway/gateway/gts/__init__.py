"""The Global Type System, as much of spec 0.11 as a gateway needs. Pure: values in, values out."""
