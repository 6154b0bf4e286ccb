"""Plants and controllers of this package inside other tools. What a tool needs is an extra, imported when used."""
