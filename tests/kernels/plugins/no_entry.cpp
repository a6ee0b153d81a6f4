// A shared object that is none of tandem's.
extern "C" [[gnu::visibility("default")]] int some_function() { return 1; }
