// Trunkwatch for kube-prometheus and other users of jsonnet: the rules of rules/ and the dashboards of
// dashboards/ of this version. It imports them from the folders beside this one: install the whole
// repository (`jb install github.com/trunkwatch/trunkwatch`) or `trunkwatch assets DIR`.
//
//   (import 'trunkwatch/mixin/mixin.libsonnet') + { _config+:: { selector: 'job="ci"' } }

// What the rules were written for.
local written = { selector: 'job="trunkwatch"', ticketsSelector: 'job="trunkwatch-tickets"', confirmSelector: 'job="trunkwatch-confirm"', name: '', runbooks: 'http://localhost:10077/runbooks' };

{
  _config:: {
    // Label matchers of the exporters, of `trunkwatch tickets` and of `trunkwatch confirm`.
    selector: written.selector,
    ticketsSelector: written.ticketsSelector,
    confirmSelector: written.confirmSelector,
    // The label `trunkwatch` of alerts and recorded series, where a second Trunkwatch has rules in the same
    // Prometheus: letters, digits, '.', '_' and '-'.
    name: written.name,
    // The exporter's runbooks, in a reader's browser.
    runbooks: written.runbooks,
  },

  local config = self._config,
  local inFormat(text) =  // as in a quoted format of printf
    std.strReplace(std.strReplace(std.strReplace(text, '\\', '\\\\'), '"', '\\"'), '%', '%%'),
  local selected =
    std.foldl(
      function(text, change) std.strReplace(text, change[0], change[1]),
      [
        // By way of marks that are in no rule, so that no replacement is replaced again.
        [written.ticketsSelector, '\u0001'],
        [written.selector, '\u0002'],
        [inFormat(written.selector), '\u0003'],
        ['trunkwatch="%s"' % written.name, '\u0004'],
        [written.confirmSelector, '\u0005'],
        ['\u0001', config.ticketsSelector],
        ['\u0002', config.selector],
        ['\u0003', inFormat(config.selector)],
        ['\u0004', 'trunkwatch="%s"' % config.name],
        ['\u0005', config.confirmSelector],
      ],
      std.strReplace(importstr '../rules/trunkwatch.rules.yml', written.runbooks + '/', config.runbooks + '/'),
    ),
  local named(rule) = rule + if config.name == '' then {} else { labels+: { trunkwatch: config.name } },

  // All groups: recorded series and alerts of a group depend on the order of its rules.
  prometheusAlerts:: {
    groups: [group { rules: std.map(named, group.rules) } for group in std.parseYaml(selected).groups],
  },
  prometheusRules:: { groups: [] },

  grafanaDashboards:: import 'dashboards.libsonnet',
}
