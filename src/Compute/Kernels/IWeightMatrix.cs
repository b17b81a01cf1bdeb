namespace Lamina.Compute.Kernels;

/// <summary>A weight matrix [rows × columns] in the layout and memory of the device that multiplies with it, as quantised as its file.</summary>
internal interface IWeightMatrix : IDisposable
{
    /// <summary>Outputs.</summary>
    int Rows { get; }

    /// <summary>Inputs.</summary>
    int Columns { get; }

    /// <summary>Memory of the device held.</summary>
    long Bytes { get; }
}
