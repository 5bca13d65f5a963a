import uPlot from 'uplot';

/** A line of a chart. */
export interface Line {
  readonly label: string;
  /** Text for a value, in the legend and for screen readers. */
  readonly format: (value: number) => string;
}

const HEIGHT = 190;

/** The colour of this name in the style sheet, as it is now, in the light or in the dark. */
function colour(name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** A chart over time in a figure, as wide as that is. */
export class Chart {
  readonly #figure: HTMLElement;
  readonly #title: string;
  readonly #plotIn = document.createElement('div');
  #lines: readonly Line[] = [];
  #data: uPlot.AlignedData = [[]];
  #plot: uPlot | undefined;

  constructor(id: string) {
    this.#figure = document.getElementById(id) as HTMLElement;
    this.#title = this.#figure.querySelector('figcaption')?.textContent ?? '';
    this.#plotIn.setAttribute('role', 'img');
    this.#figure.append(this.#plotIn);
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#width(), height: HEIGHT })).observe(this.#figure);
  }

  /** Shows these values, the times in seconds first. */
  show(lines: readonly Line[], data: uPlot.AlignedData): void {
    const isSame = lines.map(({ label }) => label).join() === this.#lines.map(({ label }) => label).join();
    this.#lines = lines;
    this.#data = data;
    this.#plotIn.setAttribute('aria-label', `${this.#title}: ${this.#lastValues()}`);
    if (isSame && this.#plot !== undefined) this.#plot.setData(data);
    else this.draw();
    this.#showLast();
  }

  /** Draws it anew, for example in other colours. */
  draw(): void {
    this.#plot?.destroy();
    const axis = {
      stroke: colour('soft'),
      grid: { stroke: colour('line'), width: 1 },
      ticks: { stroke: colour('line'), width: 1 },
      font: '12px system-ui, sans-serif',
    };
    this.#plot = new uPlot(
      {
        width: this.#width(),
        height: HEIGHT,
        cursor: { y: false },
        scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        series: [
          { value: (_plot, time) => (time === null ? '–' : new Date(time * 1000).toLocaleTimeString()) },
          ...this.#lines.map(({ label, format }, index) => ({
            label,
            stroke: colour(`series-${(index % 4) + 1}`),
            width: 2,
            points: { size: 5 },
            value: (_plot: uPlot, value: number | null) => (value === null ? '–' : format(value)),
          })),
        ],
        axes: [axis, { ...axis, size: 62, values: (_plot, values) => values.map((value) => SHORT.format(value)) }],
      },
      this.#data,
      this.#plotIn,
    );
    this.#showLast();
  }

  /** Shows the last values in the legend, unless those under the pointer are shown. */
  #showLast(): void {
    const plot = this.#plot;
    if (plot === undefined || (plot.cursor.left ?? -1) >= 0) return;
    plot.setLegend({ idx: plot.data[0].length - 1 });
  }

  #lastValues(): string {
    const last = this.#lines.map(({ label, format }, index) => {
      const value = this.#data[index + 1]?.at(-1);
      return `${label} ${value === undefined || value === null ? 'unknown' : format(value)}`;
    });
    return last.length === 0 ? 'none' : last.join(', ');
  }

  #width(): number {
    const { paddingLeft, paddingRight } = getComputedStyle(this.#figure);
    return Math.max(160, this.#figure.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight));
  }
}

const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
