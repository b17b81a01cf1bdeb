namespace Lamina.Compute.Kernels;

/// <summary>Zeroed memory of the device that a stage computes on, zeroed again when it is given back.</summary>
internal unsafe interface IBuffer : IDisposable
{
    long Bytes { get; }

    /// <summary>An address of the device: only its own kernels follow it.</summary>
    byte* Pointer { get; }
}
