import { checkAll, checkBoolean, checkInteger, namesIn, type OptionTable, optional } from '@walstack/codec/internal';
import { describe, expect, expectTypeOf, test } from 'vitest';

interface Options {
  readonly name: string;
  readonly size?: number;
  readonly most?: number;
  readonly loud?: boolean;
}

const TABLE = {
  name: { default: undefined, check: (_name, value) => String(value).length },
  size: { default: 4, check: (name, value, { most }) => checkInteger(name, value, 0, most) },
  most: { default: 8, check: (name, value) => checkInteger(name, value) },
  loud: { default: undefined, check: optional(checkBoolean) },
} satisfies OptionTable<Options, { name: number }>;

describe('a table of options', () => {
  test('has the names of its options, in its order', () => {
    expect(namesIn(TABLE)).toEqual(['name', 'size', 'most', 'loud']);
    expect(Object.isFrozen(namesIn(TABLE))).toBe(true);
  });

  test('applies defaults, and uses what checks return', () => {
    const checked = checkAll(TABLE, { name: 'abc', most: undefined });
    expect(checked).toEqual({ name: 3, size: 4, most: 8, loud: undefined });
    expectTypeOf(checked).toEqualTypeOf<{
      readonly name: number;
      readonly size: number;
      readonly most: number;
      readonly loud: boolean | undefined;
    }>();
  });

  test('checks what is given, also null, and defaults against what is given for other options', () => {
    expect(checkAll(TABLE, { name: '', size: 2, most: 2, loud: true })).toEqual({
      name: 0,
      size: 2,
      most: 2,
      loud: true,
    });
    expect(() => checkAll(TABLE, { name: '', size: 3, most: 2 })).toThrow('"size" must be an integer from 0 to 2');
    expect(() => checkAll(TABLE, { name: '', most: 2 })).toThrow('"size" must be an integer from 0 to 2, received 4');
    expect(() => checkAll(TABLE, { name: '', size: null })).toThrow('"size" must be a number, received null');
    expect(() => checkAll(TABLE, { name: '', loud: null })).toThrow('"loud" must be a boolean, received null');
  });

  test('reads each option once', () => {
    let reads = 0;
    const given = {
      name: '',
      get size() {
        return ++reads;
      },
    };
    expect(checkAll(TABLE, given).size).toBe(1);
  });

  test('is held to its type', () => {
    const { name, size, most, loud } = TABLE;
    // @ts-expect-error one is missing
    ({ name, size, most }) satisfies OptionTable<Options, { name: number }>;
    // @ts-expect-error there is none of this name
    ({ name, size, most, loud, colour: loud }) satisfies OptionTable<Options, { name: number }>;
    // @ts-expect-error the default is of another type
    ({ name, most, loud, size: { ...size, default: '4' } }) satisfies OptionTable<Options, { name: number }>;
    // @ts-expect-error the check returns another type
    ({ name, size, most, loud: { ...loud, check: () => 1 } }) satisfies OptionTable<Options, { name: number }>;
    // @ts-expect-error the check of a name returns a number
    TABLE satisfies OptionTable<Options>;
  });
});
