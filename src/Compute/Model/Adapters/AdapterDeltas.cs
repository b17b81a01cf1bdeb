namespace Lamina.Compute.Model.Adapters;

/// <summary>What each loaded adapter adds to one multiplication, by the adapter's number.</summary>
internal class AdapterDeltas
{
    private AdapterDelta[]?[] _byAdapter = [];

    /// <summary>False as long as no adapter ever changed this multiplication.</summary>
    public bool HasDeltas => _byAdapter.Length > 0;

    public ReadOnlySpan<AdapterDelta> Deltas(int adapter) => adapter < _byAdapter.Length ? _byAdapter[adapter] : default(ReadOnlySpan<AdapterDelta>);

    public void SetDeltas(int adapter, AdapterDelta[]? deltas)
    {
        if (adapter >= _byAdapter.Length)
        {
            Array.Resize(ref _byAdapter, adapter + 1);
        }

        _byAdapter[adapter] = deltas;
    }
}
