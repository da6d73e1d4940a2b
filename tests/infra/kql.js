// Parses KQL and checks it against the columns that tables have: what Azure Monitor would say.
//
// Reads {"tables": {name: "(column: type, ...)"}, "queries": {name: text}} from standard input
// and writes {name: ["what is wrong", ...]}.

"use strict";

const { readFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { runInThisContext } = require("node:vm");

const folder = dirname(require.resolve("@kusto/language-service-next/package.json"));
for (const file of ["bridge.js", "Kusto.Language.Bridge.js"]) {
  runInThisContext(readFileSync(join(folder, file), "utf-8"), { filename: file });
}

const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;
const { tables, queries } = JSON.parse(readFileSync(0, "utf-8"));

const symbols = Object.entries(tables).map(([name, columns]) =>
  Symbols.TableSymbol.From(columns).WithName(name),
);
const database = new Symbols.DatabaseSymbol.$ctor1("workspace", symbols);
const globals = GlobalState.Default.WithDatabase(database);

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  found[name] = [];
  for (let index = 0; index < diagnostics.Count; index += 1) {
    const diagnostic = diagnostics.getItem(index);
    found[name].push(`${diagnostic.Code} ${diagnostic.Message}`);
  }
}
process.stdout.write(JSON.stringify(found));
