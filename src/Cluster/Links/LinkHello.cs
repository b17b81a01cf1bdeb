using Lamina.Cluster.Messages;
using MessagePack;

namespace Lamina.Cluster.Links;

/// <summary>
/// The dialler's first frame, answered by an acknowledgement or a refusal with a reason. The receiver compares tenant and sender with the
/// certificate, and address and purpose with what it holds.
/// </summary>
/// <param name="Version">Protocol version; a peer accepts its own and the one before.</param>
/// <param name="Sender">Name in the sender's certificate.</param>
/// <param name="Target">The stage at the receiving end; default for links that lead to no stage.</param>
[MessagePackObject]
public sealed record LinkHello(
    [property: Key(0)] int Version,
    [property: Key(1)] LinkPurpose Purpose,
    [property: Key(2)] TenantId Tenant,
    [property: Key(3)] string Sender,
    [property: Key(4)] StageAddress Target)
{
    /// <summary>The version that this build speaks.</summary>
    public const int CurrentVersion = 1;

    internal const int MaxBytes = 4096;
}
