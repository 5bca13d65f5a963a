import { describe, expect, test } from 'vitest';
import { Latencies } from '../src/rows/latencies.js';
import { rowOf } from '../src/rows/rows.js';
import { median, quantile, spread } from '../src/rows/statistics.js';

test('median', () => {
  expect(median([3])).toBe(3);
  expect(median([10, 2, 9])).toBe(9);
  expect(median([10, 2, 9, 100])).toBe(9.5);
  expect(median([])).toBeNaN();
});

test('quantile', () => {
  const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([0, 0.5, 0.99, 1].map((share) => quantile(sorted, share))).toEqual([1, 51, 100, 100]);
  expect(quantile([], 0.5)).toBeNaN();
});

test('spread is the range as a share of the median', () => {
  expect(spread([100, 100, 100])).toBe(0);
  expect(spread([80, 100, 130])).toBe(0.5);
  expect(spread([0, 0])).toBe(0);
});

test('latencies hold any number of values', () => {
  const latencies = new Latencies();
  for (let value = 200_000; value > 0; value--) latencies.add(value);
  expect(latencies.count).toBe(200_000);
  expect(latencies.quantiles(0, 0.5, 0.99)).toEqual([1, 100_001, 198_001]);
  expect(new Latencies().quantiles(0.5)).toEqual([Number.NaN]);
});

test('slow is the share of all time that is spent in operations of more than three medians', () => {
  const latencies = new Latencies();
  for (const us of [10, 10, 10, 10, 30, 31, 99]) latencies.add(us);
  expect(latencies.summary).toEqual({ p50Us: 10, p99Us: 99, p999Us: 99, slow: 130 / 200 });
  const none = new Latencies();
  none.add(0);
  expect(none.summary.slow).toBe(0);
});

describe('a row', () => {
  const one = { bench: 'durable', name: 'committers=8', unit: 'commits/s', contestants: [] };
  const contestant = { subject: 'fs', measure: () => Promise.reject(new Error('not called')) };

  test('has the median of the rounds and of their latencies', () => {
    const samples = [30, 10, 20].map((value) => {
      const latencies = new Latencies();
      for (let us = 1; us <= 100; us++) latencies.add(us * value);
      return { value, latency: latencies.summary };
    });
    expect(rowOf(one, contestant, samples)).toEqual({
      bench: 'durable',
      case: 'committers=8',
      subject: 'fs',
      value: 20,
      unit: 'commits/s',
      p50Us: 1020,
      p99Us: 2000,
      p999Us: 2000,
      slow: 0,
      rounds: 3,
      spread: 1,
    });
  });

  test('has whole numbers, or four digits of small ones', () => {
    expect(rowOf(one, contestant, [{ value: 12_345.678 }]).value).toBe(12_346);
    expect(rowOf(one, contestant, [{ value: 1.234567 }]).value).toBe(1.235);
  });

  test('has no latencies where none were taken', () => {
    const nothing = { p50Us: null, p99Us: null, p999Us: null, slow: null };
    expect(rowOf(one, contestant, [{ value: 5 }])).toMatchObject({ value: 5, ...nothing, rounds: 1 });
  });

  test('has no share of slow ones where it is not known', () => {
    const latency = { p50Us: 1, p99Us: 2, p999Us: 3, slow: undefined };
    expect(rowOf(one, contestant, [{ value: 5, latency }])).toMatchObject({ p999Us: 3, slow: null });
  });
});
