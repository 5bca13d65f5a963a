// Whether the headers have io_uring. Whether the running kernel supports it is checked at run time.
#ifndef WALSTACK_HAS_IO_URING_H_
#define WALSTACK_HAS_IO_URING_H_

#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#ifdef IORING_FEAT_EXT_ARG
#define WALSTACK_HAS_IO_URING 1
#endif
#endif
#endif

#endif  // WALSTACK_HAS_IO_URING_H_
