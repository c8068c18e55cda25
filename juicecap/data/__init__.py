"""Reading datasets (`source`), writing them (`export`) and typing their columns, without changing a value on the way."""
