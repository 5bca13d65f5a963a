/** The address of this machine as QEMU shows it to its guest. */
const HOST = '10.0.2.2';

/**
 * The first program of the guest: attaches the disk, mounts it, and starts the logs. What the kernel's command line says in
 * the form `key=value` is in its environment.
 */
export const GUEST_INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
fail() { echo "guest: $1"; poweroff -f; }
for module in $(cat /modules/order); do insmod "/modules/$module" || echo "guest: $module does not load"; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up || fail 'there is no network'
nbd-attach ${HOST} "$disk_port" /dev/nbd0 "$disk_bytes" "$disk_fua" &
waits=0
while [ ! -e /sys/block/nbd0/pid ]; do
  waits=$((waits + 1))
  [ $waits -lt 300 ] || fail 'there is no disk'
  sleep 0.1
done
echo "guest: disk with write cache '$(cat /sys/block/nbd0/queue/write_cache)', FUA $(cat /sys/block/nbd0/queue/fua)"
mount -t "$disk_type" -o "$disk_options" /dev/nbd0 /disk || fail 'the disk does not mount'
echo 'guest: mounted'
logs=0
while [ $logs -lt "$disk_logs" ]; do
  nc ${HOST} "$logs_port" -e /log &
  logs=$((logs + 1))
done
wait
`;

/** One log: gets its job from the connection on which it reports. What it has to say beside that goes to the console. */
export const GUEST_LOG = `#!/bin/busybox sh
exec node /app/dist/powercut-guest.js 3>&1 1>/dev/console 2>/dev/console
`;
