import type { StorageIoName } from '@walstack/storage-io';
import type { Subject } from './subject.js';

/** The subjects that are this log on one of its backends, with the names of the backends. */
export const onBackends = <T>(subjects: readonly Subject[], f: (subject: Subject, io: StorageIoName) => T): T[] =>
  subjects.flatMap((subject) => {
    const io = /^walstack\/(.+)$/.exec(subject.name)?.[1];
    return io === undefined ? [] : [f(subject, io as StorageIoName)];
  });
