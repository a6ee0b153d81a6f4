// A driver without a GPU, as far as cuDNN needs one in order to build a plan for a device that is not there: it takes any code and finds
// any kernel in it. Its other functions, of which CMakeLists.txt makes a list, fail.
extern "C" {
int cuDriverGetVersion(int* version) {
    *version = 13000;
    return 0;
}
int cuLibraryLoadData(void** library, ...) {
    *library = library;
    return 0;
}
int cuLibraryGetKernel(void** kernel, ...) {
    *kernel = kernel;
    return 0;
}
}
