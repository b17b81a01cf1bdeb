using System.Collections.Frozen;

namespace Lamina.Cluster.Messages;

/// <summary>
/// Every message that may cross through Akka, with the number that stands for its type on the wire. Numbers are frozen (a test holds them); a new message gets a new one,
/// a removed message's is not used again.
/// </summary>
internal static class WireManifests
{
    /// <summary>Up to here numbers stand for commands, which the transport accepts from coordinators only.</summary>
    public const int LastCommand = 31;

    private static readonly Entry[] s_entries =
    [
        Of<NodeCommands.DescribeNode>(1),
        Of<NodeCommands.LoadStage>(2),
        Of<NodeCommands.ConnectStage>(3),
        Of<NodeCommands.UnloadStage>(4),
        Of<DeploymentProtocol.KeepDeployment>(5),
        Of<DeploymentProtocol.DeploymentShown>(6),
        Of<DeploymentProtocol.EpochDrained>(7),
        Of<NodeCommands.DrainNode>(8),
        Of<NodeCommands.LeaveNow>(9),
        Of<NodeCommands.RenewCertificate>(10),
        Of<GovernorProtocol.ReserveQuota>(11),
        Of<GovernorProtocol.SettleQuota>(12),
        Of<GovernorProtocol.HoldQuota>(13),
        Of<GovernorProtocol.QuotaDecided>(14),
        Of<MirrorProtocol.CoordinatorShown>(15),
        Of<DeploymentProtocol.ReplanDeployment>(16),
        Of<NodeEvents.NodeDescribed>(32),
        Of<NodeEvents.StageProgress>(33),
        Of<NodeEvents.StageLoaded>(34),
        Of<NodeEvents.StageReady>(35),
        Of<NodeEvents.StageFailed>(36),
        Of<NodeEvents.RenewalRequested>(37),
    ];

    public static FrozenDictionary<string, Entry> ByManifest { get; } = s_entries.ToFrozenDictionary(e => e.Manifest);

    public static FrozenDictionary<Type, Entry> ByType { get; } = s_entries.ToFrozenDictionary(e => e.Type);

    private static Entry Of<T>(int number)
        where T : class, IWireMessage =>
        new(number.ToString(System.Globalization.CultureInfo.InvariantCulture), typeof(T), message => Wire.Encode((T)message), bytes => Wire.Decode<T>(bytes.AsMemory()));

    internal sealed record Entry(string Manifest, Type Type, Func<IWireMessage, byte[]> Encode, Func<byte[], IWireMessage> Decode);
}
