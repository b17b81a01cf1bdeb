using System.Reflection;
using System.Text.RegularExpressions;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Cluster.Remoting;
using MessagePack;

namespace Lamina.Cluster.Tests.Links;

/// <summary>
/// What crosses a link says who, which, how many and what, and never where in the receiver's memory, of which of its types, or in which of its files. The lists here are closed: whoever adds a frame or a
/// field says what it is.
/// </summary>
public sealed partial class FrameFieldTests
{
    /// <summary>Contract of each kind's payload; null for those without one: nothing, a number, a sentence, or rows and tokens by a layout of their own.</summary>
    private static readonly Dictionary<FrameKind, Type?> s_payloads = new()
    {
        [FrameKind.Hello] = typeof(LinkHello), [FrameKind.HelloAccepted] = null, [FrameKind.HelloRefused] = null, [FrameKind.Ping] = null, [FrameKind.Pong] = null, [FrameKind.Credit] = null, [FrameKind.Close] = null,
        [FrameKind.Step] = null, [FrameKind.Sampled] = null,
        [FrameKind.Submit] = typeof(GenerationProtocol.Submit), [FrameKind.Cancel] = typeof(GenerationProtocol.Cancel), [FrameKind.TokensGenerated] = typeof(GenerationProtocol.TokensGenerated),
        [FrameKind.GenerationEnded] = typeof(GenerationProtocol.GenerationEnded), [FrameKind.HeadLoad] = typeof(GenerationProtocol.HeadLoad), [FrameKind.TextEmbedded] = typeof(GenerationProtocol.TextEmbedded),
        [FrameKind.Allow] = typeof(GenerationProtocol.Allow),
        [FrameKind.BlobRequest] = typeof(BlobProtocol.BlobRequest), [FrameKind.BlobChunk] = null, [FrameKind.BlobRefused] = typeof(BlobProtocol.BlobRefused),
        [FrameKind.KeepAnswer] = typeof(MirrorProtocol.KeepAnswer), [FrameKind.AnswerKept] = typeof(MirrorProtocol.AnswerKept), [FrameKind.AnswerProgress] = typeof(MirrorProtocol.AnswerProgress),
        [FrameKind.AnswerReleased] = typeof(MirrorProtocol.AnswerReleased), [FrameKind.ReadAnswer] = typeof(MirrorProtocol.ReadAnswer), [FrameKind.AnswerEvent] = typeof(MirrorProtocol.AnswerEvent),
        [FrameKind.AnswerOver] = typeof(MirrorProtocol.AnswerOver), [FrameKind.CancelAnswer] = typeof(MirrorProtocol.CancelAnswer),
    };

    /// <summary>All text and all bytes that a contract may hold: whatever else a peer says is a number, a flag, or one of an enumeration.</summary>
    private static readonly Dictionary<string, string[]> s_texts = new()
    {
        ["a name, checked against its form or a table"] =
        [
            "TenantId.Value", "NodeName.Value", "DeploymentId.Value", "AdapterOffer.Name", "CoordinatorShown.Name", "DeploymentShown.Owner", "LinkHello.Sender", "Opening.Name",
            "Opening.System", "HoldQuota.Holder", "ReserveQuota.Holder", "NodeDescribed.Device", "NodeDescribed.Version", "DeploymentSettings.KvCacheType", "DeploymentSettings.Stages",
            "KeepAnswer.Route", "OfferedSignature.Algorithm",
        ],
        ["a host, which only a dialler looks up"] =
        [
            "Endpoint.Host",
        ],
        ["a digest, of a form that is no path"] =
        [
            "AdapterOffer.Digest", "BlobRequest.Digest", "EpochShown.Digest", "LoadStage.AdapterDigests", "LoadStage.DraftDigest", "LoadStage.ModelDigest", "ModelOffer.Digest",
            "ModelOffer.DraftDigest", "ModelOffer.MetadataDigest", "KeepAnswer.Model", "OfferedEvidence.Sha256", "OfferedSignature.KeyId",
        ],
        ["an id, looked up in a table"] =
        [
            "AdapterOffer.Keys", "AnswerKept.Id", "AnswerProgress.Id", "AnswerReleased.Id", "CancelAnswer.Id", "CancelAnswer.Key", "KeepAnswer.Id", "KeepAnswer.Key", "KeepAnswer.RepeatKey",
            "KeepAnswer.Usage", "QuotaDecided.Reservation", "ReadAnswer.Id", "ReadAnswer.Key", "ReserveQuota.Key", "ReserveQuota.Reservation", "SettleQuota.Reservation",
            "Submit.TraceParent",
        ],
        ["a sentence for people"] =
        [
            "AnswerOver.Code", "AnswerOver.Message", "AnswerOver.Type", "BlobRefused.Reason", "DeploymentShown.Problem", "GenerationEnded.Reason", "KeepDeployment.Problem",
            "LeaveNow.Reason", "OpeningAnswer.Refusal", "StageFailed.Reason",
        ],
        ["what a caller wrote or gets, parsed by the parsers for it"] =
        [
            "AnswerEvent.Json", "KeepAnswer.Body", "KeepAnswer.User", "SamplingSettings.DryBreakers", "SamplingSettings.GrammarText",
        ],
        ["a certificate or a request for one, or a signature, verified by its key"] =
        [
            "OfferedSignature.Value",
            "RenewCertificate.CertificatePem", "RenewalRequested.CertificatePem", "RenewalRequested.RequestPem",
        ],
    };

    [Trait("Attack", "B2")]
    [Fact]
    public void Header_Layout_IsLengthKindEpochStepAndNothingElse()
    {
        Assert.Equal(["Epoch Int32", "Kind FrameKind", "Length UInt32", "Step Int32"], typeof(FrameHeader).GetProperties().Select(p => $"{p.Name} {p.PropertyType.Name}").Order());
        Assert.Equal(4, typeof(FrameHeader).GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public).Length);
        byte[] bytes = new byte[FrameHeader.Size];
        new FrameHeader(0x04030201, FrameKind.Step, 0x0C0B0A09, unchecked((int)0xFFEEDDCC)).Write(bytes);
        Assert.Equal([1, 2, 3, 4, 16, 0, 0, 0, 9, 10, 11, 12, 0xCC, 0xDD, 0xEE, 0xFF], bytes);
        for (int bit = 40; bit < 64; bit++)
        {
            byte[] altered = [.. bytes];
            altered[bit / 8] |= (byte)(1 << (bit % 8));
            Assert.False(FrameHeader.TryRead(altered, out _));
        }
    }

    [Trait("Attack", "B2")]
    [Fact]
    public void Kinds_AllOfThem_HaveAKnownPayloadAndALimit()
    {
        LinkOptions options = new();
        Assert.Equal(Enum.GetValues<FrameKind>().Order(), s_payloads.Keys.Order());
        Assert.All(s_payloads.Keys, kind => Assert.InRange(kind.PayloadLimit(options), 0, kind.IsForHandler() ? options.MaxFrameBytes : 4096));
        Assert.Equal(1, System.Runtime.InteropServices.Marshal.SizeOf(Enum.GetUnderlyingType(typeof(FrameKind))));
    }

    /// <summary>Of links and of control messages alike.</summary>
    [Trait("Attack", "B2")]
    [Fact]
    public void Fields_OfEveryContract_AreNumbersFlagsEnumerationsOrKnownTexts()
    {
        Type[] contracts = [.. typeof(IWireMessage).Assembly.GetTypes().Where(type => type.GetCustomAttribute<MessagePackObjectAttribute>() is not null)];
        Assert.Empty(s_payloads.Values.OfType<Type>().Append(typeof(Opening)).Append(typeof(OpeningAnswer)).Except(contracts));
        var texts = new List<string>();
        foreach ((Type contract, PropertyInfo field) in contracts.SelectMany(type => type.GetProperties().Where(p => p.GetCustomAttribute<KeyAttribute>() is not null).Select(p => (type, p))))
        {
            string name = $"{contract.Name}.{field.Name}";
            Type leaf = Leaf(field.PropertyType);
            if (leaf == typeof(string) || leaf == typeof(byte))
            {
                texts.Add(name);
                continue;
            }

            Assert.True(contracts.Contains(leaf) || leaf.IsEnum || s_numbers.Contains(leaf), $"{name} is a {field.PropertyType}");

            // A number by such a name would be somebody's memory. An offset into a blob is checked against the blob.
            Assert.False(s_numbers.Contains(leaf) && PlaceInMemory().IsMatch(field.Name) && name != "BlobRequest.Offset", $"{name} is a place in memory by its name");
        }

        Assert.Equal(s_texts.Values.SelectMany(names => names).Order(StringComparer.Ordinal), texts.Order(StringComparer.Ordinal));
    }

    private static readonly Type[] s_numbers = [typeof(bool), typeof(int), typeof(uint), typeof(long), typeof(ulong), typeof(float), typeof(double)];

    private static Type Leaf(Type type) =>
        Nullable.GetUnderlyingType(type) is { } inner ? Leaf(inner) : type.IsArray ? Leaf(type.GetElementType()!) : type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? Leaf(type.GenericTypeArguments[0]) : type;

    [GeneratedRegex("Pointer|Ptr|Address|Handle|Offset|Buffer")]
    private static partial Regex PlaceInMemory();
}
