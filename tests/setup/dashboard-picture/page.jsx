// Draws the dashboard with Grafana's own components, from the dashboard's file and the answers of the Prometheus that serves
// this page. This code does what Grafana does around these components: it sends the queries, makes frames of the answers,
// and fills in defaults.

import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, createTheme, dateTime, getDisplayValueAlignmentFactors,
  getFieldDisplayValues, identityOverrideProcessor, rangeUtil, standardTransformers, standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, Table, ThemeContext, TimeSeries, VizRepeater } from '@grafana/ui';
import { applyNullInsertThreshold } from '@grafana/ui/dist/esm/graveyard/GraphNG/nullInsertThreshold';
import { defaultOptions as statOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import { defaultOptions as tableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import { lastValueFrom } from 'rxjs';
import 'uplot/dist/uPlot.min.css';
import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';

// Grafana's grid, in pixels.
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;

// Grafana's defaults for missing settings.
const DEFAULTS = {
  stat: { options: { ...statOptions, orientation: 'auto', reduceOptions: { calcs: ['lastNotNull'], values: false } } },
  table: { options: tableOptions, custom: { align: 'auto', cellOptions: { type: 'auto' } } },
  timeseries: {
    options: { legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] } },
    color: { mode: 'palette-classic' },
    custom: {
      drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', spanNulls: false,
      showPoints: 'auto', pointSize: 5, axisPlacement: 'auto', stacking: { mode: 'none', group: 'A' },
      scaleDistribution: { type: 'linear' }, thresholdsStyle: { mode: 'off' },
    },
  },
};
const SCRAPE_INTERVAL = '15s';

const theme = createTheme({ colors: { mode: 'dark' } });
const timeZone = 'utc';
const replaceVariables = (text) => text;

async function main() {
  const now = dateTime(1000 * Number(new URLSearchParams(location.search).get('now')));
  const dashboard = await (await fetch('dashboard.json')).json();
  const range = rangeUtil.convertRawToRange(dashboard.time, timeZone);
  // The two queries ran one after the other.
  const length = 1000 * Math.round(range.to.diff(range.from) / 1000);
  const timeRange = { from: dateTime(now.valueOf() - length), to: now, raw: dashboard.time };
  standardTransformersRegistry.setInit(() =>
    [...new Set(Object.values(standardTransformers))].map((transformation) => ({ id: transformation.id, transformation })));
  const panels = await Promise.all(dashboard.panels.map(withDefaults).map(async (panel) => {
    const place = placeOf(panel.gridPos, window.innerWidth);
    return { panel, place, frames: await framesOf(panel, place, timeRange, dashboard.templating.list) };
  }));
  const height = Math.max(...panels.map(({ place }) => place.top + place.height)) + GAP;
  const root = document.getElementById('root');
  root.style.height = `${height}px`;
  await document.fonts.load('400 14px Inter').then(() => document.fonts.load('500 14px Inter'));
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {panels.map(({ panel, place, frames }) => (
        <div key={panel.id} style={{ position: 'absolute', ...place }}>
          <PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
            {(width, height) => <Panel {...{ panel, frames, timeRange, width, height }} />}
          </PanelChrome>
        </div>
      ))}
    </ThemeContext.Provider>,
  );
  document.body.dataset.drawn = 'yes';
}

function placeOf({ x, y, w, h }, pageWidth) {
  const column = (pageWidth - GAP * (COLUMNS + 1)) / COLUMNS;
  return {
    left: GAP + x * (column + GAP), top: GAP + y * (ROW + GAP), width: w * column + (w - 1) * GAP, height: h * ROW + (h - 1) * GAP,
  };
}

function withDefaults(panel) {
  const defaults = DEFAULTS[panel.type];
  const { fieldConfig } = panel;
  const options = { ...defaults.options, ...panel.options };
  if (options.legend) options.legend = { ...defaults.options.legend, ...options.legend };
  return {
    ...panel,
    options,
    fieldConfig: {
      overrides: fieldConfig.overrides,
      defaults: { color: defaults.color, ...fieldConfig.defaults, custom: { ...defaults.custom, ...fieldConfig.defaults.custom } },
    },
  };
}

async function framesOf(panel, place, timeRange, variables) {
  const answers = await Promise.all(panel.targets.map((target) => ask(target, place, timeRange, variables)));
  const frames = panel.targets.flatMap((target, index) =>
    target.format === 'table'
      ? [tableFrame(answers[index], target)]
      : answers[index].map((series) => seriesFrame(series, target)));
  if (frames.every((frame) => frame.length === 0)) throw new Error(`"${panel.title}" would be empty`);
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames));
  const { fieldConfig } = panel;
  const fieldConfigRegistry = registryOf(fieldConfig);
  return applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry, replaceVariables, theme, timeZone });
}

/** What Prometheus answers to this question: the series, each with its points, `step` seconds apart. */
async function ask(target, place, { from, to }, variables) {
  const value = (whole, name) => variables.find((variable) => variable.name === name)?.allValue ?? whole;
  const query = target.expr.replace(/\$(\w+)/g, value);
  const [start, end] = [from.valueOf() / 1000, to.valueOf() / 1000];
  const step = rangeUtil.calculateInterval({ from, to }, Math.round(place.width), SCRAPE_INTERVAL).intervalMs / 1000;
  const aligned = (time) => Math.floor(time / step) * step;
  const [path, times] = target.instant
    ? ['query', { time: end }]
    : ['query_range', { start: aligned(start), end: aligned(end), step }];
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams({ query, ...times })}`)).json();
  if (answer.status !== 'success') throw new Error(`${query}: ${answer.error}`);
  return answer.data.result.map(({ metric, value, values }) => ({ metric, points: values ?? [value], step }));
}

function seriesFrame({ metric, points, step }, target) {
  const name = target.legendFormat?.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '') || target.expr;
  const [times, values] = [points.map(([time]) => 1000 * time), points.map(([, value]) => Number(value))];
  const fields = [
    { name: 'Time', type: FieldType.time, config: { interval: 1000 * step }, values: times },
    { name: 'Value', type: FieldType.number, labels: metric, config: { displayNameFromDS: name }, values },
  ];
  return { refId: target.refId, name, fields, length: points.length };
}

function tableFrame(series, target) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const column = (name, type, value) => ({ name, type, config: {}, values: series.map(value) });
  const fields = [
    column('Time', FieldType.time, ({ points }) => 1000 * points[0][0]),
    ...labels.map((label) => column(label, FieldType.string, ({ metric }) => metric[label] ?? '')),
    column('Value', FieldType.number, ({ points }) => Number(points[0][1])),
  ];
  return { refId: target.refId, fields, length: series.length };
}

/** Each setting that the dashboard makes, as one that can be made. */
function registryOf({ defaults, overrides }) {
  const made = [
    ...Object.keys(defaults),
    ...Object.keys(defaults.custom).map((key) => `custom.${key}`),
    ...overrides.flatMap((override) => override.properties.map((property) => property.id)),
  ];
  const ids = [...new Set(made)].filter((id) => id !== 'custom');
  const setting = (id) => ({ id, name: id, path: id.replace(/^custom\./, ''), isCustom: id.startsWith('custom.') });
  const how = { process: identityOverrideProcessor, shouldApply: () => true };
  return new FieldConfigOptionsRegistry(() => ids.map((id) => ({ ...setting(id), ...how })));
}

function Panel({ panel, frames, timeRange, width, height }) {
  const { options, fieldConfig } = panel;
  switch (panel.type) {
    case 'stat':
      return (
        <VizRepeater
          source={frames} width={width} height={height} orientation={options.orientation} itemSpacing={3} autoGrid
          getValues={() => getFieldDisplayValues({
            fieldConfig, reduceOptions: options.reduceOptions, data: frames, sparkline: options.graphMode !== 'none',
            replaceVariables, theme, timeZone,
          })}
          getAlignmentFactors={getDisplayValueAlignmentFactors}
          renderValue={({ value, alignmentFactors, width, height, count }) => (
            <BigValue
              {...options} {...{ alignmentFactors, width, height, count, theme }} value={value.display}
              sparkline={value.sparkline && { ...value.sparkline, timeRange }}
            />
          )}
        />
      );
    case 'table':
      return (
        <Table
          data={frames[0]} width={width} height={height} noHeader={!options.showHeader} cellHeight={options.cellHeight}
          initialSortBy={options.sortBy} timeRange={timeRange}
        />
      );
    case 'timeseries':
      return (
        <TimeSeries
          frames={frames.map((frame) => applyNullInsertThreshold({ frame }))} structureRev={1}
          timeRange={timeRange} timeZone={timeZone} width={width} height={height} legend={options.legend} options={options}
        />
      );
    default:
      throw new Error(`panels of type ${panel.type} are not drawn yet`);
  }
}

main();
