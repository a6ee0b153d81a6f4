// A library that is there when a plugin is linked and gone when it is opened.
extern "C" [[gnu::visibility("default")]] int tandem_absent() { return 1; }
