{
  "targets": [
    {
      "target_name": "walstack",
      "sources": [
        "addon/addon.cc",
        "addon/direct_io.cc",
        "addon/locks.cc",
        "addon/mapping.cc",
        "addon/memory.cc",
        "addon/support.cc"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fno-rtti"],
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
