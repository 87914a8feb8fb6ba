// Reads dashboards and the results of their tables' queries with Grafana's own library, for
// test_grafana.py: {dashboards: [...], tables: [{panel, results: {refId: [series]}}]} on stdin.
// Prints {findings: [text], tables: [[{header: text}]], links: [{header: [address]}]}: of first rows. The argument is the folder with node_modules.
const { createRequire } = require("module");
const load = createRequire(`${process.argv[2]}/x.js`);
const { JSDOM } = load("jsdom");
const page = new JSDOM("<html></html>", { url: "http://localhost/" });
globalThis.window = page.window;
globalThis.document = page.window.document;
Object.defineProperty(globalThis, "navigator", { value: page.window.navigator });
window.matchMedia = () => ({ matches: false, addListener() {}, removeListener() {} });
const grafana = load("@grafana/data");
const { lastValueFrom } = load("rxjs");

const transformers = new Map(Object.values(grafana.standardTransformers).map((t) => [t.id, t]));
grafana.standardTransformersRegistry.setInit(() =>
  [...transformers.values()].map((t) => ({ id: t.id, name: t.name, transformation: async () => t })),
);
const units = new Set(grafana.getValueFormats().flatMap((group) => group.submenu.map((f) => f.value)));
const theme = grafana.createTheme();

function* panels(dashboard) {
  for (const panel of dashboard.panels) {
    if (panel.type === "row") yield* panel.panels;
    else yield panel;
  }
}

function* findings(panel) {
  const { defaults, overrides } = panel.fieldConfig;
  if (!units.has(defaults.unit)) yield `unit ${defaults.unit}`;
  for (const each of panel.transformations || [])
    if (!transformers.has(each.id)) yield `transformation ${each.id}`;
  for (const { matcher } of overrides)
    if (!grafana.fieldMatchers.getIfExists(matcher.id)) yield `matcher ${matcher.id}`;
  for (const calc of panel.options.reduceOptions?.calcs || panel.options.legend?.calcs || [])
    if (!grafana.fieldReducers.getIfExists(calc)) yield `reducer ${calc}`;
}

// As the data source makes a table of an instant query: its time, its labels, its value.
function frame(refId, series, isOnly) {
  const { FieldType } = grafana;
  const labels = [...new Set(series.flatMap((s) => Object.keys(s.metric)))].sort();
  const field = (name, type, values) => ({ name, type, values, config: {} });
  const fields = [
    field("Time", FieldType.time, series.map((s) => s.value[0] * 1000)),
    ...labels.map((l) => field(l, FieldType.string, series.map((s) => s.metric[l] ?? ""))),
    field(isOnly ? "Value" : `Value #${refId}`, FieldType.number, series.map((s) => +s.value[1])),
  ];
  return { refId, fields: series.length ? fields : [], length: series.length };
}

function transformed({ panel, results }) {
  const entries = Object.entries(results);
  const frames = entries.map(([ref, series]) => frame(ref, series, entries.length === 1));
  return lastValueFrom(grafana.transformDataFrame(panel.transformations, frames));
}

function rows(panel, shown) {
  const { defaults, overrides } = panel.fieldConfig;
  const text = (field, value) => {
    const header = field.config.displayName || field.name;
    const config = { ...defaults, ...field.config };
    for (const { matcher, properties } of overrides) {
      const isMeant = matcher.options.names.includes(header) === (matcher.options.mode === "include");
      for (const { id, value: setting } of properties)
        if (isMeant && setting === undefined) delete config[id];
    }
    const display = grafana.getDisplayProcessor({ field: { ...field, config }, theme });
    return [header, grafana.formattedValueToString(display(value))];
  };
  return [...Array(shown?.length || 0).keys()].map((row) =>
    Object.fromEntries(shown.fields.map((field) => text(field, field.values[row]))),
  );
}

const registry = new grafana.Registry(() => [
  { id: "links", path: "links", process: grafana.dataLinksOverrideProcessor, shouldApply: () => true },
]);

// The addresses that a click on a cell of the first row offers, variables left as they are.
function links(panel, data) {
  const replaceVariables = (text) => text;
  const [shown] = grafana.applyFieldOverrides({
    data, fieldConfig: panel.fieldConfig, fieldConfigRegistry: registry, replaceVariables, theme,
  });
  const addresses = (field) => field.getLinks({ valueRowIndex: 0 }).map((link) => link.href);
  return Object.fromEntries((shown?.fields || []).map((field) => [field.config.displayName || field.name, addresses(field)]));
}

(async () => {
  const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
  const found = input.dashboards.flatMap((dashboard) =>
    [...panels(dashboard)].flatMap((panel) => [...findings(panel)].map((f) => `${panel.title}: ${f}`)),
  );
  const tables = [];
  const clicks = [];
  for (const table of input.tables) {
    const data = await transformed(table);
    tables.push(rows(table.panel, data[0]));
    clicks.push(links(table.panel, data));
  }
  process.stdout.write(JSON.stringify({ findings: found, tables, links: clicks }), () => process.exit(0));
})();
