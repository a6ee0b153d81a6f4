#include "tests/parallel/fake_nccl.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "parallel/nccl_memory.h"
#include "tests/support/emulator/memory.h"
#include "tests/support/emulator/streams.h"

/// As NCCL's own: opaque to who uses it.
struct ncclComm {
    std::string id;
    int rank, ranks;
    std::map<int, int> sent, received;  ///< messages to and from each rank so far
    int incomplete = 2;                 ///< times that the last call is still under way when asked
    tandem::test::NcclUse use;
    std::set<std::string> met;                   ///< with whom, and for what, there is a connection
    std::vector<std::filesystem::path> awaited;  ///< what others have yet to do before the last call is complete
};

namespace tandem::test {
namespace {

constexpr double kPatience = 20;

std::filesystem::path directory;
std::set<ncclComm*> alive;
std::map<CUstream_st*, int> unsent;  ///< single sends enqueued that have not run

struct Part {
    std::byte* data;
    std::size_t bytes;
    int peer;
    bool sends;
};
struct Group {
    int depth = 0;
    ncclComm* comm = nullptr;
    CUstream_st* stream = nullptr;
    std::vector<Part> parts;
} group;

std::filesystem::path file_of(const ncclComm& comm, int from, int to, int number) {
    return directory / fmt::format("{}.{}.{}.{}", comm.id, from, to, number);
}

/// NCCL connects two ranks at the first message between them, and all of them at the first collective: a call that needs it is complete
/// when the others have made theirs, not before.
void meet(ncclComm& comm, const std::string& here, const std::string& there) {
    if (!comm.met.insert(there).second) return;
    std::ofstream(directory / fmt::format("{}.{}", comm.id, here));
    comm.awaited.push_back(directory / fmt::format("{}.{}", comm.id, there));
}

void meet_all(ncclComm& comm, const char* where) {
    for (int r = 0; r < comm.ranks; ++r) meet(comm, fmt::format("{}.{}", where, comm.rank), fmt::format("{}.{}", where, r));
}

void meet_peer(ncclComm& comm, const Part& part) {
    const auto end = [&](bool sends) {
        return fmt::format("{}.{}.{}", part.sends ? comm.rank : part.peer, part.sends ? part.peer : comm.rank,
                           sends ? "sends" : "receives");
    };
    if (part.peer != comm.rank) meet(comm, end(part.sends), end(!part.sends));
}

std::string send_part(ncclComm& comm, const Part& part) {
    auto& memory = emulator::memory();
    const emulator::Memory::Open open(memory);
    if (auto wrong = memory.outside(part.data, part.bytes); !wrong.empty()) return "ncclSend: the source is " + wrong;
    const auto file = file_of(comm, comm.rank, part.peer, comm.sent[part.peer]++);
    auto unfinished = file;
    unfinished += ".part";
    std::ofstream(unfinished, std::ios::binary).write(reinterpret_cast<const char*>(part.data), static_cast<std::streamsize>(part.bytes));
    std::filesystem::rename(unfinished, file);
    return "";
}

std::string receive_part(ncclComm& comm, const Part& part) {
    const auto file = file_of(comm, part.peer, comm.rank, comm.received[part.peer]++);
    const auto start = std::chrono::steady_clock::now();
    while (!std::filesystem::exists(file)) {
        if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > kPatience)
            return fmt::format("ncclRecv: nothing came from rank {}", part.peer);
        // Streams of a device run side by side: what another one has to send goes out while this one waits.
        for (auto& [stream, count] : unsent)
            if (count > 0) stream->drain(stream->enqueued);
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    auto& memory = emulator::memory();
    const emulator::Memory::Open open(memory);
    if (auto wrong = memory.written(part.data, part.bytes); !wrong.empty()) return "ncclRecv: the target is " + wrong;
    if (std::filesystem::file_size(file) != part.bytes) return "ncclRecv: a message of another size";
    std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(part.data), static_cast<std::streamsize>(part.bytes));
    std::filesystem::remove(file);
    return "";
}

void enqueue(ncclComm* comm, CUstream_st* stream, const std::vector<Part>& parts) {
    const int alone = parts.size() == 1 && parts[0].sends ? 1 : 0;
    unsent[stream] += alone;
    stream->push([=] {
        unsent[stream] -= alone;
        std::string fault;
        for (const Part& part : parts)
            if (part.sends && fault.empty()) fault = send_part(*comm, part);
        for (const Part& part : parts)
            if (!part.sends && fault.empty()) fault = receive_part(*comm, part);
        return fault;
    });
    comm->incomplete = 2;
}

ncclResult_t message(const Part& part, ncclComm* comm, cudaStream_t stream) {
    meet_peer(*comm, part);
    (part.sends ? comm->use.sent_to : comm->use.received_from).insert(part.peer);
    if (group.depth == 0) {
        enqueue(comm, stream, {part});
        return ncclInProgress;
    }
    if (group.comm != nullptr && (group.comm != comm || group.stream != stream)) return ncclInvalidUsage;
    group.comm = comm;
    group.stream = stream;
    group.parts.push_back(part);
    return ncclSuccess;
}

std::byte* bytes(const void* data) { return static_cast<std::byte*>(const_cast<void*>(data)); }

ncclResult_t unique_id(ncclUniqueId* id) {
    static int made = 0;
    std::memset(id, 0, sizeof *id);
    fmt::format_to_n(id->internal, sizeof id->internal - 1, "{}-{}", getpid(), ++made);
    return ncclSuccess;
}

ncclResult_t init(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
    if (config->blocking != 0 || config->maxCTAs < 1 || config->maxCTAs > kNcclChannels) return ncclInvalidArgument;
    *comm = new ncclComm{.id = id.internal,
                         .rank = rank,
                         .ranks = ranks,
                         .sent = {},
                         .received = {},
                         .use = {ranks, config->maxCTAs, {}, {}, false},
                         .met = {},
                         .awaited = {}};
    alive.insert(*comm);
    meet_all(**comm, "started");
    return ncclInProgress;
}

ncclResult_t async_error(ncclComm_t comm, ncclResult_t* result) {
    std::erase_if(comm->awaited, [](const auto& file) { return std::filesystem::exists(file); });
    *result = comm->incomplete > 0 || !comm->awaited.empty() ? ncclInProgress : ncclSuccess;
    if (comm->incomplete > 0) --comm->incomplete;
    return ncclSuccess;
}

ncclResult_t destroy(ncclComm_t comm) {
    alive.erase(comm);
    delete comm;
    return ncclSuccess;
}

ncclResult_t group_start() {
    ++group.depth;
    return ncclSuccess;
}

ncclResult_t group_end() {
    if (--group.depth > 0 || group.comm == nullptr) return ncclSuccess;
    enqueue(group.comm, group.stream, group.parts);
    group = {};
    return ncclInProgress;
}

ncclResult_t send(const void* data, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
    return message({bytes(data), count, peer, true}, comm, stream);
}

ncclResult_t receive(void* data, std::size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
    return message({bytes(data), count, peer, false}, comm, stream);
}

ncclResult_t all_gather(const void* from, void* to, std::size_t count, ncclDataType_t, ncclComm_t comm, cudaStream_t stream) {
    comm->use.ring = true;
    std::vector<Part> parts;
    for (int r = 0; r < comm->ranks; ++r) {
        parts.push_back({bytes(from), count, r, true});
        parts.push_back({bytes(to) + static_cast<std::size_t>(r) * count, count, r, false});
    }
    meet_all(*comm, "collective");
    enqueue(comm, stream, parts);
    return ncclInProgress;
}

ncclResult_t broadcast(const void* from, void* to, std::size_t count, ncclDataType_t, int root, ncclComm_t comm, cudaStream_t stream) {
    comm->use.ring = true;
    std::vector<Part> parts;
    for (int r = 0; r < comm->ranks && comm->rank == root; ++r) parts.push_back({bytes(from), count, r, true});
    parts.push_back({bytes(to), count, root, false});
    meet_all(*comm, "collective");
    enqueue(comm, stream, parts);
    return ncclInProgress;
}

}  // namespace

std::vector<NcclUse> fake_nccl_groups() {
    std::vector<NcclUse> groups;
    for (const ncclComm* comm : alive) groups.push_back(comm->use);
    return groups;
}

NcclLibrary fake_nccl(const std::string& where) {
    directory = where;
    NcclLibrary library;
    library.get_version = [](int* version) {
        *version = NCCL_VERSION(2, 28, 9);
        return ncclSuccess;
    };
    library.get_error_string = [](ncclResult_t) { return "made up"; };
    library.get_last_error = [](ncclComm_t) { return "nothing more is known"; };
    library.get_unique_id = unique_id;
    library.init = init;
    library.get_async_error = async_error;
    library.finalize = [](ncclComm_t) { return ncclSuccess; };
    library.destroy = destroy;
    library.abort = destroy;
    library.group_start = group_start;
    library.group_end = group_end;
    library.send = send;
    library.recv = receive;
    library.all_gather = all_gather;
    library.broadcast = broadcast;
    return library;
}

}  // namespace tandem::test
