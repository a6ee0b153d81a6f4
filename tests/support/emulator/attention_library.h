// A library of attention behind the seam (kernels/cuda/attention_library.h), in plain loops, for the emulated GPU. It reads what a library
// is given and nothing else, and does wrong what a test asks it to.
#pragma once

#include <cstdint>
#include <string>

namespace tandem::emulator {

struct AttentionLibraryWish {
    bool missing = false;          ///< as where there is no library
    std::string refusal = {};      ///< of every plan
    bool fails = false;            ///< when a plan is run
    std::size_t workspace = 4096;  ///< that it says it needs, all of which it writes
    double lse_factor = 1.0;       ///< of what it reports
    int keys_too_many = 0;         ///< that queries see, behind their own
    int window_too_wide = 0;       ///< keys
    int keys_seen = 1 << 30;       ///< of a sample: none behind these, as where a library forgets a tile
    bool forgets_lse = false;      ///< writes none
    bool writes_behind = false;    ///< an element behind the last token
    bool lse_behind = false;       ///< the same of lse
    bool reads_behind = false;     ///< a value behind the last token, and multiplies it by 0
    double drift = 0.0;            ///< added to the first element of each call's result, more each time
};
/// For libraries made and called from now on.
void set_attention_library(const AttentionLibraryWish& wish);

struct AttentionLibraryUse {
    int prepared = 0, run = 0;
};
/// Plans and calls since the last call of this.
AttentionLibraryUse take_attention_library_use();

}  // namespace tandem::emulator
