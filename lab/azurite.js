// Azurite that ends with whoever started it: they hold the other end of standard input, and the
// system closes it however they end.
process.stdin.on("end", () => process.exit(0)).resume();
require("azurite/dist/src/blob/main.js");
