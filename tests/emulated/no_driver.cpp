// NVIDIA's driver by name only: what the program looks for before it opens its CUDA part.
extern "C" int tandem_no_driver() { return 0; }
