/** What the commands say of themselves: complete, and the same wherever it is said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MANUALS } from '../../src/commands/all.ts'
import { variableOf } from '../../src/manual/environment.ts'
import { manualOf, settable } from '../../src/manual/manual.ts'

test('every command, option and positional says what it is for; every command shows how', () => {
  for (const { name, describe, options, positionals, examples } of MANUALS) {
    assert.match(describe, /^[A-Z]/, name)
    assert.ok(examples.length > 0, `${name} has no example`)
    for (const [line, what] of examples) {
      assert.match(line, /gguf-swarm( completion)? ?/, name)
      assert.notEqual(what, '', line)
    }
    for (const parameter of [...options, ...positionals]) {
      assert.notEqual(parameter.describe, '', `${name} --${parameter.name}`)
      // A default has a place of its own, where it is seen by what is made of the manual.
      assert.doesNotMatch(parameter.describe, /\[default/, `${name} --${parameter.name}`)
    }
  }
})

/** A list for `seed`, one folder for `up`: set in their tables. */
const DIFFERENT = new Set(['dir'])

test('an option of several commands is of one kind, so that one line can set it for all', () => {
  const kinds = new Map<string, string>()
  for (const manual of MANUALS) {
    for (const { name, kind, isList } of settable(manual)) {
      const found = `${kind}${isList ? ' list' : ''}`
      if (!DIFFERENT.has(name)) assert.equal(kinds.get(name) ?? found, found, `--${name} of ${manual.name}`)
      kinds.set(name, found)
    }
  }
})

/** One port, whoever opens it. */
const SAME = new Set(['GGUF_SWARM_BOOTSTRAP_PORT'])

test('no variable stands for two things', () => {
  const meanings = new Map<string, string>()
  for (const manual of MANUALS) {
    for (const { name } of settable(manual)) {
      for (const [variable, meaning] of [
        [variableOf(name), `--${name}`],
        [variableOf(name, manual.name), `--${name} of ${manual.name}`],
      ] as const) {
        if (!SAME.has(variable)) assert.equal(meanings.get(variable) ?? meaning, meaning, variable)
        meanings.set(variable, meaning)
      }
    }
  }
})

test('a builder is read whatever way it says things', () => {
  const manual = manualOf({
    command: 'try <what> [more..]',
    describe: 'Try',
    builder: (yargs: {
      positional: (...args: unknown[]) => typeof yargs
      option: (...args: unknown[]) => typeof yargs
      options: (...args: unknown[]) => typeof yargs
      conflicts: (...args: unknown[]) => typeof yargs
    }) =>
      yargs
        .positional('what', { type: 'string', describe: 'w' })
        .positional('more', { describe: 'm' })
        .option('one', { type: 'number', alias: 'o', default: 3, describe: 'o' })
        .conflicts('one', 'two')
        .options({ two: { type: 'string', array: true }, three: { type: 'boolean', hidden: true } }),
  })
  assert.deepEqual(
    manual.positionals.map(({ name, isRequired, isList }) => [name, isRequired, isList]),
    [
      ['what', true, false],
      ['more', false, true],
    ],
  )
  assert.deepEqual(
    manual.options.map(({ name, kind, isList, aliases, defaultText }) => [
      name,
      kind,
      isList,
      aliases,
      defaultText,
    ]),
    [
      ['one', 'number', false, ['o'], '3'],
      ['two', 'string', true, [], ''],
    ],
  )
  assert.deepEqual(
    settable(manual).map(({ name }) => name),
    ['more', 'one', 'two'],
  )
})
