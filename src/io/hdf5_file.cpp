#include "src/io/hdf5_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "src/io/files.h"
#include "src/io/hdf5_handle.h"
#include "src/io/os_error.h"

namespace tandem {

using io_detail::Hdf5Handle;

namespace {

/// HDF5 prints every error to stderr until told otherwise, and closes what is open when the program exits: after a failed write (a
/// full disk) it crashes there, so it may not. Every file is closed by its own handle.
void set_up_hdf5() {
    static const herr_t left_alone_at_exit = H5dont_atexit();  // counts only before anything else
    static const herr_t silent = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    require(left_alone_at_exit >= 0, "H5dont_atexit failed");
    require(silent >= 0, "H5Eset_auto2 failed");
}

herr_t collect(unsigned, const H5E_error2_t* error, void* lines) {
    if (error->desc != nullptr && *error->desc != '\0') static_cast<std::vector<std::string>*>(lines)->emplace_back(error->desc);
    return 0;
}

}  // namespace

std::string io_detail::hdf5_error_text() {
    std::vector<std::string> lines;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &lines);
    H5Eclear2(H5E_DEFAULT);
    if (lines.empty()) return "HDF5 gives no cause";
    auto text = lines.size() == 1 ? lines.front() : lines.back() + " (" + lines.front() + ")";
    std::erase(text, '\n');  // a message is one line; ctime ends the time of an input or output error with one
    return text;
}

void start_hdf5() {
    set_up_hdf5();
    require(H5open() >= 0, "H5open failed");
}

std::string hdf5_version() {
    set_up_hdf5();
    unsigned major = 0, minor = 0, release = 0;
    require(H5get_libversion(&major, &minor, &release) >= 0, "H5get_libversion failed");
    return fmt::format("{}.{}.{}", major, minor, release);
}

Hdf5File::State::~State() {
    file.reset();
    if (writable && !temporary.empty()) ::unlink(temporary.c_str());
}

void Hdf5File::State::fail_hdf5(std::string_view verb, std::string_view object) const {
    const auto cause = io_detail::hdf5_error_text();
    if (object.empty()) fail(writable ? Failure::Run : Failure::Input, "{}: cannot {}: {}", path.string(), verb, cause);
    fail(writable ? Failure::Run : Failure::Input, "{}: cannot {} '{}': {}", path.string(), verb, object, cause);
}

Hdf5Handle Hdf5File::State::own(hid_t id, Hdf5Handle::Close close, std::string_view verb, std::string_view object) const {
    if (id < 0) fail_hdf5(verb, object);
    return {id, close};
}

hid_t Hdf5File::State::id() const {
    require(file.valid(), "{} is used after it was closed", path.string());
    return file.get();
}

Hdf5File::Hdf5File(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hdf5File::~Hdf5File() = default;
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;

namespace {

/// The serial driver without HDF5's file locks: a file is written under a name of its own, and on some network file systems
/// locking fails.
Hdf5Handle file_access() {
    set_up_hdf5();
    Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    require(access.valid(), "H5Pcreate failed: {}", io_detail::hdf5_error_text());
    require(H5Pset_fapl_sec2(access.get()) >= 0, "H5Pset_fapl_sec2 failed: {}", io_detail::hdf5_error_text());
    // An object left open would keep the file open behind H5Fclose; this makes it an error instead.
    require(H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI) >= 0, "H5Pset_fclose_degree failed: {}", io_detail::hdf5_error_text());
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 12 && H5_VERS_RELEASE == 0)
    require(H5Pset_file_locking(access.get(), false, true) >= 0, "H5Pset_file_locking failed: {}", io_detail::hdf5_error_text());
#endif
    return access;
}

}  // namespace

Hdf5File Hdf5File::create(const std::filesystem::path& file) {
    auto state = std::make_unique<State>();
    state->path = file;
    const auto access = file_access();
    { AtomicFile probe(file); }  // the system's own cause, as Configuration, where no file can be made there
    state->temporary = io_detail::temporary_beside(file);
    state->writable = true;
    state->file = state->own(H5Fcreate(state->temporary.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.get()), H5Fclose, "create", "");
    return Hdf5File(std::move(state));
}

Hdf5File Hdf5File::open(const std::filesystem::path& file) {
    { const RandomAccessFile probe(file); }  // the same for a file that cannot be opened
    auto state = std::make_unique<State>();
    state->path = file;
    const auto access = file_access();
    const auto is_hdf5 = H5Fis_hdf5(file.c_str());
    if (is_hdf5 <= 0) {
        H5Eclear2(H5E_DEFAULT);
        fail(Failure::Input, "{}: not an HDF5 file, or one that was cut off at the start", file.string());
    }
    state->file = state->own(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose, "open: truncated or damaged HDF5 file", "");
    return Hdf5File(std::move(state));
}

void Hdf5File::close() {
    if (!state_->file.valid()) return;
    if (state_->writable) state_->check(H5Fflush(state_->file.get(), H5F_SCOPE_GLOBAL), "write", "");
    state_->check(state_->file.reset(), "close", "");
}

void Hdf5File::commit() {
    auto& s = *state_;
    require(s.writable && !s.temporary.empty(), "{} is committed, but was not being created", s.path.string());
    close();
    const FileDescriptor fd(::open(s.temporary.c_str(), O_RDWR | O_CLOEXEC));
    if (fd.get() < 0) io_detail::fail_io(s.temporary, "open", errno);
    if (::fsync(fd.get()) != 0) io_detail::fail_io(s.path, "sync", errno);
    if (::rename(s.temporary.c_str(), s.path.c_str()) != 0) io_detail::fail_io(s.path, "rename the finished file", errno);
    s.temporary.clear();
    sync_directory(s.path.parent_path());
}

const std::filesystem::path& Hdf5File::path() const { return state_->path; }
const std::filesystem::path& Hdf5File::temporary() const { return state_->temporary; }

}  // namespace tandem
