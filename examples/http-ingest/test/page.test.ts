import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Ingest } from '../src/ingest.js';
import { empty, fill, onSimulatedDisk } from './support/full-disk.js';

/** The page in a real browser, where there is one. */

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The browser of this machine: what `CHROMIUM` names, or one on the search path. */
function installed(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = [
    process.env['CHROMIUM'] ?? '',
    ...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))),
  ];
  // Some systems have a program of this name that only says how to install one.
  return found.find((path) => path !== '' && existsSync(path) && spawnSync(path, ['--version']).status === 0);
}

const executablePath = installed();
let browser: Browser | undefined;
let directory: string;

beforeAll(async () => {
  if (executablePath === undefined) return;
  // The sandbox of the browser needs another user than root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath, args, timeout: 240_000 });
});

afterAll(async () => browser?.close());

beforeEach(({ skip }) => {
  if (browser === undefined) skip('no Chromium on this machine: set CHROMIUM to the path of one');
  directory = mkdtempSync(join(tmpdir(), 'walstack-ingest-test-'));
});

afterEach(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const post = async (url: string, data: unknown) =>
  (
    await fetch(`${url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'a', data }),
    })
  ).status;

const numberOf = async (page: Page, id: string): Promise<number> =>
  Number((await page.locator(`#${id}`).textContent())?.replaceAll(',', ''));

/** Waits until the page shows a state. */
const shows = async (page: Page, state: string) => page.locator(`#state[data-state="${state}"]`).waitFor();

async function opened(url: string): Promise<{ page: Page; errors: string[] }> {
  const page = await (browser as Browser).newPage();
  page.setDefaultTimeout(120_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url);
  await shows(page, 'running');
  return { page, errors };
}

test('numbers move, a restart of the server is survived, and a full disk is shown as such', async () => {
  const { disk, options } = onSimulatedDisk(directory);
  let ingest = await Ingest.open(options());
  const port = await ingest.listen(0);
  const url = `http://127.0.0.1:${port}`;
  const { page, errors } = await opened(url);

  await numbersMove();
  await survivesRestart();
  await showsFullDisk();
  expect(errors).toEqual([]);
  await page.close();
  await ingest.close();

  async function numbersMove() {
    expect(await numberOf(page, 'durable-lsn')).toBe(0);
    for (let number = 0; number < 30; number++) expect(await post(url, number)).toBe(201);
    await page.waitForFunction(() => document.getElementById('durable-lsn')?.textContent === '30');
    await page.waitForFunction(() => document.getElementById('followers')?.textContent === 'totals0');
    expect(await numberOf(page, 'commits')).toBeGreaterThanOrEqual(30);
    const labels = page.getByRole('img');
    expect(await labels.count()).toBe(5);
    await page.getByRole('img', { name: 'Durable LSN: LSN 30' }).waitFor();
    // Something is drawn, in each of the charts.
    const drawn = await page.locator('canvas').evaluateAll((all) =>
      all.map((canvas) => {
        const { width, height } = canvas as HTMLCanvasElement;
        const pixels = (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, width, height).data ?? [];
        return pixels.some((value) => value > 0);
      }),
    );
    expect(drawn).toEqual([true, true, true, true, true]);
  }

  async function survivesRestart() {
    await ingest.close();
    await shows(page, 'disconnected');
    expect(await page.getByRole('alert').textContent()).toContain('connects again');
    ingest = await Ingest.open(options());
    await ingest.listen(port);
    await shows(page, 'running');
    expect(await page.getByRole('alert').count(), 'the notice is gone').toBe(0);
    expect(await post(url, 'again')).toBe(201);
    await page.waitForFunction(() => document.getElementById('durable-lsn')?.textContent === '31');
  }

  async function showsFullDisk() {
    fill(disk);
    expect(await post(url, 'x'.repeat(2000))).toBe(507);
    await shows(page, 'full');
    expect(await page.getByRole('status').textContent()).toBe('Disk full');
    expect(await page.getByRole('alert').textContent()).toContain('no room');
    expect(await numberOf(page, 'durable-lsn')).toBe(31);
    empty(disk);
    await shows(page, 'running');
    await page.waitForFunction(() => document.getElementById('durable-lsn')?.textContent === '32');
  }
});

test.each([360, 768, 1280])(
  'at a width of %i nothing sticks out, and every chart is as wide as its figure',
  async (width) => {
    const ingest = await Ingest.open({ directory, sampleMs: 50 });
    const url = `http://127.0.0.1:${await ingest.listen(0)}`;
    await post(url, 1);
    const { page } = await opened(url);
    await page.setViewportSize({ width, height: 900 });
    const fits = () =>
      [...document.querySelectorAll('figure')].every((figure) => {
        const { right } = figure.getBoundingClientRect();
        const plot = figure.querySelector('.uplot')?.getBoundingClientRect();
        return plot !== undefined && plot.width > 150 && plot.right <= right;
      }) && document.documentElement.scrollWidth <= document.documentElement.clientWidth;
    await page.waitForFunction(fits);
    await page.close();
    await ingest.close();
  },
);

test('colours follow the scheme, and texts have contrast in both', async () => {
  const ingest = await Ingest.open({ directory, sampleMs: 50 });
  const { page } = await opened(`http://127.0.0.1:${await ingest.listen(0)}`);
  const contrasts: number[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    contrasts.push(
      ...(await page.locator('h1, dt, dd, figcaption, th, #state-text').evaluateAll((all) => {
        const luminance = (colour: string) => {
          const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map((value) => {
            const part = Number(value) / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const backgroundOf = (element: Element | null): string => {
          const found = element === null ? 'rgb(255, 255, 255)' : getComputedStyle(element).backgroundColor;
          return found === 'rgba(0, 0, 0, 0)' ? backgroundOf(element?.parentElement ?? null) : found;
        };
        // A chart that was drawn anew meanwhile has replaced its legend.
        const shown = all.filter((element) => element.isConnected);
        return shown.map((element) => {
          const pair = [luminance(getComputedStyle(element).color), luminance(backgroundOf(element))].sort(
            (a, b) => a - b,
          );
          return ((pair[1] ?? 0) + 0.05) / ((pair[0] ?? 0) + 0.05);
        });
      })),
    );
  }
  expect(contrasts.length).toBeGreaterThan(40);
  // What WCAG 2 asks for normal text.
  expect(Math.min(...contrasts)).toBeGreaterThanOrEqual(4.5);
  await page.close();
  await ingest.close();
});
