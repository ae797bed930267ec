// Draws the picture of a dashboard whose queries a Prometheus answers.
//
//   picture.js DASHBOARD BLOCKS NOW PICTURE   DASHBOARD and PICTURE are files, BLOCKS the folder of Prometheus' data, NOW the
//                                             end of the time shown, in seconds since the epoch. PROMETHEUS and
//                                             CHROMIUM name these programs.

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const { dirname, join } = require('node:path');
const esbuild = require('esbuild');
const puppeteer = require('puppeteer-core');

const WIDTH = 1280;
const PATIENCE = 120_000;

async function main(dashboard, blocks, now, picture) {
  const page = fs.mkdtempSync(join(blocks, '..', 'page-'));
  await build(page);
  const content = fs.readFileSync(dashboard);
  fs.writeFileSync(join(page, 'dashboard.json'), content);
  const { server, address } = await start(blocks, page);
  const png = await photograph(`${address}/user/index.html?now=${now}`);
  server.kill();
  fs.writeFileSync(picture, withText(png, 'dashboard-sha256', createHash('sha256').update(content).digest('hex')));
}

/** Makes the page, with the icons where Grafana's components look for them. */
async function build(folder) {
  await esbuild.build({
    entryPoints: [join(__dirname, 'page.jsx')],
    outfile: join(folder, 'page.js'),
    nodePaths: [process.env.NODE_PATH],
    bundle: true,
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.woff': 'file', '.woff2': 'file' },
    logLevel: 'error',
  });
  const icons = join(dirname(require.resolve('@grafana/ui/package.json')), 'dist/public/img/icons');
  fs.cpSync(icons, join(folder, 'public/img/icons'), { recursive: true });
  fs.writeFileSync(join(folder, 'index.html'), [
    '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">',
    // Grafana's components rely on this rule of its own page.
    '<style>*, *::before, *::after { box-sizing: border-box }</style>',
    '<body><div id="root" style="position: relative"></div><script src="page.js"></script></body>',
  ].join('\n'));
}

/** A Prometheus over these data, which also serves the page. */
async function start(blocks, page) {
  const port = await freePort();
  const configuration = join(page, 'prometheus.yml');
  fs.writeFileSync(configuration, '{}\n');
  const server = spawn(process.env.PROMETHEUS, [
    `--config.file=${configuration}`, `--storage.tsdb.path=${blocks}`, '--storage.tsdb.retention.time=100y',
    `--web.user-assets=${page}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error',
  ], { stdio: ['ignore', 'ignore', 'inherit'] });
  process.on('exit', () => server.kill());
  const address = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + PATIENCE;
  while (!(await fetch(`${address}/-/ready`).catch(() => undefined))?.ok) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error('Prometheus does not get ready');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { server, address };
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function photograph(address) {
  const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const tab = await browser.newPage();
    const failed = new Promise((_, reject) => tab.on('pageerror', reject));
    failed.catch(() => {});
    await tab.setViewport({ width: WIDTH, height: 800 });
    await tab.goto(address);
    await Promise.race([tab.waitForSelector('body[data-drawn]', { timeout: PATIENCE }), failed]);
    await Promise.race([tab.waitForNetworkIdle(), failed]);
    const root = await tab.$('#root');
    return Buffer.from(await root.screenshot({ type: 'png' }));
  } finally {
    await browser.close();
  }
}

/** The picture with this text in it, directly before its end. */
function withText(png, keyword, text) {
  const chunk = Buffer.from(`tEXt${keyword}\0${text}`, 'latin1');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(chunk.length - 4);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(chunk));
  const end = png.length - 12;
  return Buffer.concat([png.subarray(0, end), length, chunk, sum, png.subarray(end)]);
}

/** As the PNG specification has it, annex D. */
function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

main(...process.argv.slice(2));
