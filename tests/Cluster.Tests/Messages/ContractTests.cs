using System.Reflection;
using System.Runtime.CompilerServices;
using Akka.Actor;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Serialization;
using Lamina.TestSupport;
using MessagePack;

namespace Lamina.Cluster.Tests.Messages;

/// <summary>Holds every type that crosses between processes to the rules, whoever adds one.</summary>
public sealed class ContractTests
{
    private static readonly Type[] s_contracts = [.. typeof(IWireMessage).Assembly.GetTypes().Where(t => t.GetCustomAttribute<MessagePackObjectAttribute>() is not null)];

    private static readonly Type[] s_messages = [.. typeof(IWireMessage).Assembly.GetTypes().Where(t => t.IsAssignableTo(typeof(IWireMessage)) && !t.IsInterface)];

    public static TheoryData<string> Contracts() => [.. s_contracts.Select(t => t.FullName!)];

    [Fact]
    public void Manifests_Numbers_AreFrozen()
    {
        string[] expected =
        [
            "1 DescribeNode", "2 LoadStage", "3 ConnectStage", "4 UnloadStage", "5 KeepDeployment", "6 DeploymentShown", "7 EpochDrained", "8 DrainNode", "9 LeaveNow", "10 RenewCertificate",
            "11 ReserveQuota", "12 SettleQuota", "13 HoldQuota", "14 QuotaDecided", "15 CoordinatorShown", "16 ReplanDeployment",
            "32 NodeDescribed", "33 StageProgress", "34 StageLoaded", "35 StageReady", "36 StageFailed", "37 RenewalRequested",
        ];

        // Numbers go over the wire between versions: append, never change or reuse.
        Assert.Equal(expected, WireManifests.ByManifest.Values.OrderBy(e => int.Parse(e.Manifest)).Select(e => $"{e.Manifest} {e.Type.Name}").Take(expected.Length));
    }

    [Trait("Attack", "B4")]
    [Fact]
    public void Manifests_EveryWireMessage_HasOne() =>
        Assert.Equal(s_messages.Select(t => t.FullName).Order(), WireManifests.ByType.Keys.Select(t => t.FullName).Order());

    [Trait("Attack", "B2")]
    [Trait("Attack", "B4")]
    [Theory]
    [MemberData(nameof(Contracts))]
    public void Contract_Shape_HoldsTheRules(string name)
    {
        Type type = Find(name);

        Assert.True(type.IsSealed, "sealed, or a struct");
        PropertyInfo[] members = [.. type.GetProperties().Where(p => p.GetCustomAttribute<KeyAttribute>() is not null)];
        Assert.NotEmpty(members);
        Assert.Equal(Enumerable.Range(0, members.Length), members.Select(m => m.GetCustomAttribute<KeyAttribute>()!.IntKey!.Value).Order());
        Assert.All(members, m => Assert.True(IsAllowed(m.PropertyType), $"{m.Name} is a {m.PropertyType.Name}"));
        Assert.All(members, m => Assert.True(m.SetMethod is null || m.SetMethod.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)), $"{m.Name} can be changed"));
        Assert.Empty(type.GetFields(BindingFlags.Public | BindingFlags.Instance));
    }

    /// <summary>Nothing that a peer's keys could fill: the rules above allow a list of known types, not of excluded ones, and this says so by name.</summary>
    [Trait("Attack", "B8")]
    [Fact]
    public void Contracts_OfEveryKind_HaveNoDictionaryOrSet()
    {
        var reached = new HashSet<Type>();
        var next = new Queue<Type>(s_contracts);
        while (next.TryDequeue(out Type? type))
        {
            if (reached.Add(type))
            {
                Type[] within = [.. type.GetProperties().Where(p => p.GetCustomAttribute<KeyAttribute>() is not null).Select(p => p.PropertyType), .. type.GetGenericArguments(), .. type.IsArray ? [type.GetElementType()!] : Type.EmptyTypes];
                Array.ForEach(within, next.Enqueue);
            }
        }

        Assert.Contains(typeof(SamplingSettings), reached);
        Assert.DoesNotContain(reached, IsKeyed);
        Assert.True(IsKeyed(typeof(IReadOnlyDictionary<int, float>)) && IsKeyed(typeof(HashSet<string>)) && IsKeyed(typeof(System.Collections.Frozen.FrozenDictionary<int, int>)));
        static bool IsKeyed(Type type) =>
            type.GetInterfaces().Append(type).Select(i => i.IsGenericType ? i.GetGenericTypeDefinition() : i)
                .Any(i => i == typeof(System.Collections.IDictionary) || i == typeof(IReadOnlyDictionary<,>) || i == typeof(IDictionary<,>) || i == typeof(ISet<>) || i == typeof(IReadOnlySet<>) || i == typeof(ILookup<,>));
    }

    [Theory]
    [MemberData(nameof(Contracts))]
    public void Contract_RoundTrip_KeepsEveryMember(string name)
    {
        Type type = Find(name);
        for (int seed = 0; seed < 5; seed++)
        {
            object value = Samples.Make(type, new Random(seed));

            byte[] bytes = Encode(type, value);
            object decoded = Decode(type, bytes);

            Assert.Equivalent(value, decoded, strict: true);
            Assert.Equal(bytes, Encode(type, decoded));
        }
    }

    [Trait("Attack", "B8")]
    [Theory]
    [MemberData(nameof(Contracts))]
    public void Contract_BytesThatAreWrong_GiveATypedErrorAndLittleMemory(string name)
    {
        Type type = Find(name);
        Random random = new(3);
        byte[] sound = Encode(type, Samples.Make(type, random));
        for (int i = 0; i < AttackScale.Cases(300, 10_000); i++)
        {
            byte[] bytes = [.. sound];
            switch (i % 3)
            {
                case 0:
                    bytes = bytes[..random.Next(bytes.Length)];
                    break;
                case 1:
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                    break;
                default:
                    random.NextBytes(bytes);
                    break;
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                Decode(type, bytes);
            }
            catch (InvalidDataException)
            {
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
    }

    [Fact]
    public async Task ContractSerializer_EveryMessage_RoundTripsByManifest()
    {
        using ActorSystem system = ActorSystem.Create("contracts", "akka { loglevel = OFF, stdout-loglevel = OFF }");
        ContractSerializer serializer = new((ExtendedActorSystem)system);
        foreach (Type type in s_messages)
        {
            object message = Samples.Make(type, new Random(1));
            Assert.Equivalent(message, serializer.FromBinary(serializer.ToBinary(message), serializer.Manifest(message)), strict: true);
        }

        Assert.Throws<System.Runtime.Serialization.SerializationException>(() => serializer.FromBinary([], "9999"));
        Assert.Throws<System.Runtime.Serialization.SerializationException>(() => serializer.FromBinary([], "System.String, mscorlib"));
        Assert.Throws<System.Runtime.Serialization.SerializationException>(() => serializer.FromBinary([0x90], "1"));
        Assert.Throws<System.Runtime.Serialization.SerializationException>(() => serializer.ToBinary("text"));
        await system.Terminate();
    }

    private static bool IsAllowed(Type type) =>
        type == typeof(string) || type.IsEnum || s_contracts.Contains(type)
        || (type.IsPrimitive && type != typeof(nint) && type != typeof(nuint))
        || (Nullable.GetUnderlyingType(type) is { } inner && IsAllowed(inner))
        || (type.IsArray && type.GetElementType() is { } element && IsAllowed(element))
        || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) && IsAllowed(type.GenericTypeArguments[0]));

    private static Type Find(string name) => s_contracts.Single(t => t.FullName == name);

    private static byte[] Encode(Type type, object value) =>
        (byte[])typeof(ContractTests).GetMethod(nameof(EncodeOf), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(type).Invoke(null, [value])!;

    private static object Decode(Type type, byte[] bytes) =>
        typeof(ContractTests).GetMethod(nameof(DecodeOf), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(type).Invoke(null, BindingFlags.DoNotWrapExceptions, null, [bytes], null)!;

    private static byte[] EncodeOf<T>(object value) => Wire.Encode((T)value);

    private static object DecodeOf<T>(byte[] bytes) => Wire.Decode<T>(bytes.AsMemory())!;

    private static class Samples
    {
        public static object Make(Type type, Random random)
        {
            if (type == typeof(TenantId) || type == typeof(NodeName) || type == typeof(DeploymentId))
            {
                return Activator.CreateInstance(type, $"n{random.Next(1000)}")!;
            }

            if (type == typeof(Endpoint))
            {
                return new Endpoint(random.Next(2) == 0 ? "10.0.0.1" : "a.example.org", random.Next(65536));
            }

            if (Nullable.GetUnderlyingType(type) is { } inner)
            {
                return random.Next(2) == 0 ? null! : Make(inner, random);
            }

            if (type.IsEnum)
            {
                Array values = Enum.GetValues(type);
                return values.GetValue(random.Next(values.Length))!;
            }

            if (type.IsArray || type.IsGenericType)
            {
                Type element = type.IsArray ? type.GetElementType()! : type.GenericTypeArguments[0];
                Array array = Array.CreateInstance(element, random.Next(4));
                for (int i = 0; i < array.Length; i++)
                {
                    array.SetValue(Make(element, random), i);
                }

                return array;
            }

            return type switch
            {
                _ when type == typeof(string) => $"text {random.Next()}",
                _ when type == typeof(bool) => random.Next(2) == 0,
                _ when type == typeof(int) => random.Next(int.MinValue, int.MaxValue),
                _ when type == typeof(long) => random.NextInt64(long.MinValue, long.MaxValue),
                _ when type == typeof(ulong) => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
                _ when type == typeof(float) => random.NextSingle(),
                _ when type == typeof(double) => random.NextDouble(),
                _ when type.IsPrimitive => Convert.ChangeType(random.Next(100), type, null),
                _ => type.GetConstructors().OrderByDescending(c => c.GetParameters().Length).First() is var constructor
                    ? constructor.Invoke([.. constructor.GetParameters().Select(p => Make(p.ParameterType, random))])
                    : throw new NotSupportedException(),
            };
        }
    }
}
