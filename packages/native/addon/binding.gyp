{
  "targets": [
    {
      "target_name": "walstack",
      "sources": [
        "addon.cc",
        "allocation.cc",
        "bus_guard.cc",
        "bytes_binding.cc",
        "crc32c.cc",
        "direct_io.cc",
        "durability_proof.cc",
        "frames.cc",
        "kernel_ring.cc",
        "locks.cc",
        "mapping.cc",
        "memory.cc",
        "ring.cc",
        "ring_readiness.cc",
        "support.cc"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-Wall", "-Wextra", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fno-rtti"],
      # A signal handler of the process is in it: it stays when the worker that loaded it ends.
      # The addon calls its own functions, and needs no C++ library, which compilers add to every program.
      "conditions": [["OS=='linux'", {"ldflags": ["-Wl,-z,nodelete", "-Wl,-Bsymbolic", "-Wl,--as-needed"]}]],
      "cflags!": ["-fno-omit-frame-pointer"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES"
      },
      "msvs_settings": {
        "VCCLCompilerTool": {"AdditionalOptions": ["/std:c++17"]}
      }
    }
  ]
}
