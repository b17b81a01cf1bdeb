using System.Runtime.InteropServices;

namespace Lamina.Compute.Gpu;

/// <summary>Whether NVIDIA's driver is there, asked without loading the GPU library: most nodes have none, and start sooner so.</summary>
internal static class CudaDriver
{
    public const string Library = "libcuda.so.1";

    public static bool IsInstalled => NativeLibrary.TryLoad(Library, out _);
}
