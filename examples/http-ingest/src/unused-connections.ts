import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Returns what closes the connections on which nothing is asked at the moment. To Node.js a connection on which nothing was
 * ever asked, as clients open them in advance, is not idle, and would keep a server open that is being closed.
 */
export function unusedConnections(server: Server): () => void {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    server.closeIdleConnections();
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
  };
}
