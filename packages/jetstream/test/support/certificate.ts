import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';

/** Whether there is nothing to make a certificate with. */
export const withoutTls = spawnSync('openssl', ['version']).status !== 0;

/** A certificate of the loopback address that has signed itself. */
export function makeCertificate(): { readonly key: string; readonly cert: string } {
  const directory = temporaryDirectory();
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const asked = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const { status, stderr } = spawnSync('openssl', [...asked, '-keyout', key, '-out', cert, ...names]);
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  return { key, cert };
}
