// The argument of `new` where memory may be refused. As `std::nothrow`, but no object of the C++ library.
#ifndef WALSTACK_ALLOCATION_H_
#define WALSTACK_ALLOCATION_H_

#include <new>

namespace walstack {

constexpr std::nothrow_t kNothrow{};

}  // namespace walstack

#endif  // WALSTACK_ALLOCATION_H_
