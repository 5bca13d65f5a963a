import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PayloadDecoder } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkLsn,
  checkOneOf,
  checkOptions,
  checkPath,
  checkPathText,
  checkText,
  checkUnsigned,
  invalidType,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';

const NOT_NUMBERS = ['1', 1n, true, null, undefined, {}, [], () => 1, Symbol('s')];

describe('errors for arguments', () => {
  it('are of the kinds that Node throws', () => {
    expect(invalidType('size', 'a number', 'x')).toBeInstanceOf(TypeError);
    expect(invalidType('size', 'a number', 'x').code).toBe('ERR_INVALID_ARG_TYPE');
    expect(outOfRange('size', 'small', 9)).toBeInstanceOf(RangeError);
    expect(outOfRange('size', 'small', 9).code).toBe('ERR_OUT_OF_RANGE');
  });

  it.each<[unknown, string]>([
    ['text', '"text"'],
    ['t'.repeat(24), `"${'t'.repeat(24)}"`],
    ['t'.repeat(25), 'a string of 25 characters'],
    [7n, '7n'],
    [2n ** 64n - 1n, '18446744073709551615n'],
    [2n ** 64n, 'a bigint beyond 64 bits'],
    [-(2n ** 64n), 'a bigint beyond 64 bits'],
    [Number.NaN, 'NaN'],
    [null, 'null'],
    [undefined, 'undefined'],
    [() => 1, 'a function'],
    [[1], 'an array'],
    [new Date(0), 'an instance of Date'],
    [Object.create(null), 'an instance of Object'],
    [Symbol('s'), 'Symbol(s)'],
  ])('say what was received: %s', (value, shown) => {
    expect(invalidType('size', 'a number', value).message).toBe(`"size" must be a number, received ${shown}`);
    expect(outOfRange('size', 'a number', value).message).toBe(`"size" must be a number, received ${shown}`);
  });
});

describe('the names of options', () => {
  interface Options {
    readonly size?: number;
    readonly name: string;
  }

  it('are those of their type, all of them and no other', () => {
    expect(optionNames<Options>({ size: true, name: true })).toEqual(['size', 'name']);
    // @ts-expect-error one is missing
    optionNames<Options>({ name: true });
    // @ts-expect-error there is none of this name
    optionNames<Options>({ size: true, name: true, colour: true });
    expect(Object.isFrozen(optionNames<Options>({ size: true, name: true }))).toBe(true);
  });

  it('are what a payload decoder is asked for', () => {
    const known = 'keyRing, allowPlaintext, predatesEncryption, maxPayloadBytes';
    expect(() => new PayloadDecoder({} as never, 'x', { plain: true } as never)).toThrow(
      `"options" has no option "plain": its options are ${known}`,
    );
    expect(() => new PayloadDecoder({} as never, 'x', { allowPlainText: true } as never)).toThrow(
      '"options" has no option "allowPlainText": did you mean "allowPlaintext"?',
    );
  });
});

describe('an integer of one value', () => {
  it('is called by that value', () => {
    expect(() => checkInteger('n', 31, 32, 32)).toThrow('"n" must be 32, received 31');
  });
});

describe('text', () => {
  it('is what UTF-8 can encode', () => {
    for (const text of ['', 'a', '\u{10ffff}', '\ufffd', '\ud83d\ude00']) expect(checkText('t', text)).toBe(text);
    for (const text of ['\ud800', 'a\udfff', '\ude00\ud83d']) {
      expect(() => checkText('t', text)).toThrow(
        expect.objectContaining({
          code: 'ERR_OUT_OF_RANGE',
          message: '"t" must be text without lone surrogates, which UTF-8 cannot encode',
        }),
      );
    }
  });
});

describe('checks of arguments', () => {
  it('integers', () => {
    expect(checkInteger('n', 0)).toBe(0);
    expect(checkInteger('n', Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
    expect(checkInteger('n', -3, -3, -1)).toBe(-3);
    for (const wrong of NOT_NUMBERS) expect(codeOf(() => checkInteger('n', wrong))).toBe('ERR_INVALID_ARG_TYPE');
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53]) {
      expect(codeOf(() => checkInteger('n', wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => checkInteger('n', 1, 2, 3))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => checkInteger('n', 4, 2, 3))).toBe('ERR_OUT_OF_RANGE');
  });

  it('LSNs', () => {
    expect(checkLsn('lsn', 1)).toBe(1);
    for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(codeOf(() => checkLsn('lsn', wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    for (const wrong of NOT_NUMBERS) expect(codeOf(() => checkLsn('lsn', wrong))).toBe('ERR_INVALID_ARG_TYPE');
  });

  it('unsigned integers of 32 or 64 bits, as number or bigint', () => {
    expect(checkUnsigned('n', 5, 32)).toBe(5n);
    expect(checkUnsigned('n', 2 ** 32 - 1, 32)).toBe(2n ** 32n - 1n);
    expect(checkUnsigned('n', 2n ** 64n - 1n, 64)).toBe(2n ** 64n - 1n);
    expect(codeOf(() => checkUnsigned('n', 2 ** 32, 32))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => checkUnsigned('n', 2n ** 64n, 64))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => checkUnsigned('n', 2 ** 53, 64))).toBe('ERR_OUT_OF_RANGE');
    for (const wrong of [-1, -1n, 0.5, Number.NaN]) {
      expect(codeOf(() => checkUnsigned('n', wrong, 64))).toBe('ERR_OUT_OF_RANGE');
    }
    for (const wrong of ['1', true, null, undefined, {}]) {
      expect(codeOf(() => checkUnsigned('n', wrong, 64))).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  it('one of some words', () => {
    expect(checkOneOf('word', 'two', ['one', 'two'])).toBe('two');
    expect(codeOf(() => checkOneOf('word', 'three', ['one', 'two']))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => checkOneOf('word', 1, ['one', 'two']))).toBe('ERR_INVALID_ARG_TYPE');
    expect(() => checkOneOf('word', 'three', ['one', 'two'])).toThrow("one of 'one', 'two'");
  });

  it('booleans', () => {
    expect(checkBoolean('flag', false)).toBe(false);
    for (const wrong of [0, 1, 'true', null, undefined]) {
      expect(codeOf(() => checkBoolean('flag', wrong))).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  it('paths', () => {
    expect(checkPath('path', 'a/b')).toBe('a/b');
    expect(codeOf(() => checkPath('path', ''))).toBe('ERR_OUT_OF_RANGE');
    expect(codeOf(() => checkPath('path', 'a\0b'))).toBe('ERR_OUT_OF_RANGE');
    for (const wrong of [1, null, undefined, {}, Buffer.from('a')]) {
      expect(codeOf(() => checkPath('path', wrong))).toBe('ERR_INVALID_ARG_TYPE');
    }
    expect(checkPath('path', pathToFileURL('/a b'))).toBe(resolve('/a b'));
    for (const wrong of [new URL('http://a/b'), new URL('file:///a%2Fb'), new URL('file:///a%00b')]) {
      expect(codeOf(() => checkPath('path', wrong))).toBe('ERR_OUT_OF_RANGE');
    }
    expect(codeOf(() => checkPathText('path', pathToFileURL('/a')))).toBe('ERR_INVALID_ARG_TYPE');
  });

  it('options: an object without unknown names', () => {
    const options = { size: 1 };
    expect(checkOptions<{ size?: number; name?: string }>('options', options, ['size', 'name'])).toBe(options);
    expect(codeOf(() => checkOptions('options', { sizes: 1 } as object, ['size'] as never[]))).toBe(
      'ERR_INVALID_ARG_TYPE',
    );
    expect(() => checkOptions('options', { sizes: 1 } as object, ['size'] as never[])).toThrow('"sizes"');
    for (const wrong of [null, undefined, 'text', 5, [], () => 1]) {
      expect(codeOf(() => checkOptions('options', wrong as never, []))).toBe('ERR_INVALID_ARG_TYPE');
    }
  });

  it('options of a class or a prototype: a plain object of those that are given, each read once', () => {
    let read = 0;
    class Options {
      get size(): number {
        return ++read;
      }
      readonly name = undefined;
    }
    expect({
      ...checkOptions<{ size?: number; name?: string | undefined }>('options', new Options(), ['size', 'name']),
    }).toEqual({ size: 1 });
    expect(read).toBe(1);
    expect({ ...checkOptions<{ size?: number }>('options', Object.create({ size: 2 }), ['size']) }).toEqual({
      size: 2,
    });
    expect(() => checkOptions('options', Object.create({ sizes: 2 }), ['size'] as never[])).toThrow('"sizes"');
  });
});
