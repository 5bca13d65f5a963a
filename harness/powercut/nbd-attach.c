// nbd-attach ADDRESS PORT DEVICE BYTES FUA: makes DEVICE a disk of BYTES that the server at ADDRESS:PORT has, and serves it until
// the server ends. FUA is 1 where the disk takes writes that are durable when they complete, else 0. There is no handshake: the
// server sends nothing before it was asked.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned long SECTOR_BYTES = 512;

static int failed(const char *what) {
  perror(what);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "nbd-attach ADDRESS PORT DEVICE BYTES FUA\n");
    return 2;
  }
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) return failed(argv[1]);
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0 || connect(connection, (struct sockaddr *)&server, sizeof server) != 0) return failed("connect");
  int one = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

  int device = open(argv[3], O_RDWR);
  if (device < 0) return failed(argv[3]);
  unsigned long sectors = strtoul(argv[4], NULL, 10) / SECTOR_BYTES;
  unsigned long flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | (strcmp(argv[5], "1") == 0 ? NBD_FLAG_SEND_FUA : 0);
  if (ioctl(device, NBD_SET_BLKSIZE, SECTOR_BYTES) != 0) return failed("NBD_SET_BLKSIZE");
  if (ioctl(device, NBD_SET_SIZE_BLOCKS, sectors) != 0) return failed("NBD_SET_SIZE_BLOCKS");
  if (ioctl(device, NBD_SET_FLAGS, flags) != 0) return failed("NBD_SET_FLAGS");
  if (ioctl(device, NBD_SET_SOCK, connection) != 0) return failed("NBD_SET_SOCK");
  if (ioctl(device, NBD_DO_IT) != 0) return failed("NBD_DO_IT");
  return 0;
}
