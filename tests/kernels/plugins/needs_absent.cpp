// A shared object that needs a library which is not found, as libtandem_cuda.so does where cuBLASLt is not installed.
extern "C" int tandem_absent();
extern "C" [[gnu::visibility("default")]] const void* tandem_backend_plugin() { return tandem_absent() == 1 ? "" : nullptr; }
