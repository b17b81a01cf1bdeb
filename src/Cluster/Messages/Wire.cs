using System.Buffers;
using System.Collections.Concurrent;
using System.Reflection;
using System.Security.Cryptography;
using Lamina.Compute.Model;
using MessagePack;
using MessagePack.Resolvers;

namespace Lamina.Cluster.Messages;

/// <summary>
/// MessagePack of contract types, the same for control messages and for records on links. Bytes are taken for hostile: bounded depth, no type names, no
/// <c>object</c>, names checked against <see cref="Names"/>, and no null where the contract has none.
/// </summary>
public static class Wire
{
    private static readonly MessagePackSerializerOptions s_options = MessagePackSerializerOptions.Standard
        .WithResolver(CompositeResolver.Create(
            [new NameFormatter<TenantId>(v => new(v), id => id.Value, Names.IsValid), new NameFormatter<NodeName>(v => new(v), id => id.Value, Names.IsValid), new NameFormatter<DeploymentId>(v => new(v), id => id.Value, Names.IsValidModel), new EndpointFormatter()],
            [BuiltinResolver.Instance, DynamicEnumResolver.Instance, DynamicGenericResolver.Instance, DynamicObjectResolver.Instance]))
        .WithSecurity(MessagePackSecurity.UntrustedData.WithMaximumObjectGraphDepth(16));

    public static byte[] Encode<T>(T value) => MessagePackSerializer.Serialize(value, s_options);

    public static void Encode<T>(IBufferWriter<byte> writer, T value) => MessagePackSerializer.Serialize(writer, value, s_options);

    /// <summary>Throws <see cref="InvalidDataException"/> when the bytes are not exactly one sound <typeparamref name="T"/>.</summary>
    public static T Decode<T>(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            MessagePackReader reader = new(bytes);
            T value = MessagePackSerializer.Deserialize<T>(ref reader, s_options);
            if (!reader.End)
            {
                throw new InvalidDataException($"{typeof(T).Name}: {bytes.Length - reader.Consumed} bytes are left over");
            }

            RequiredMembers.Check(value, typeof(T).Name);
            return value;
        }
        catch (Exception e) when (e is MessagePackSerializationException or EndOfStreamException or OverflowException or InvalidCastException)
        {
            throw new InvalidDataException($"{typeof(T).Name} cannot be decoded: {e.InnerException?.Message ?? e.Message}");
        }
    }

    /// <summary>As above, for bytes that are only lent; the copy made of them is cleared.</summary>
    public static T Decode<T>(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = UnmovedArray.Of(bytes);
        try
        {
            return Decode<T>(copy.AsMemory());
        }
        finally
        {
            CryptographicOperations.ZeroMemory(copy);
        }
    }
}

/// <summary>
/// The nulls that a nullable-annotated contract excludes but a peer can send: nil, or an array that ends early. Walks contract types only.
/// </summary>
internal static class RequiredMembers
{
    private static readonly ConcurrentDictionary<Type, Member[]> s_members = new();

    private readonly record struct Member(PropertyInfo Property, bool Nullable);

    public static void Check(object? value, string what)
    {
        // A deployment alone may be none: links for blobs have no stage.
        if (value is null or TenantId { Value: null } or NodeName { Value: null } or Endpoint { Host: null })
        {
            throw new InvalidDataException($"{what} is missing");
        }

        if (value is System.Collections.IEnumerable items)
        {
            // Arrays of numbers need no look at each.
            if (value is not string && value.GetType() is { } type && !(type.IsArray && type.GetElementType()!.IsPrimitive))
            {
                foreach (object? item in items)
                {
                    Check(item, what);
                }
            }

            return;
        }

        foreach (Member member in s_members.GetOrAdd(value.GetType(), Members))
        {
            object? inner = member.Property.GetValue(value);
            if (inner is not null || !member.Nullable)
            {
                Check(inner, $"{what}.{member.Property.Name}");
            }
        }
    }

    // Names and endpoints have checked themselves.
    private static Member[] Members(Type type)
    {
        if (type.GetCustomAttribute<MessagePackObjectAttribute>() is null || type == typeof(TenantId) || type == typeof(NodeName) || type == typeof(DeploymentId) || type == typeof(Endpoint))
        {
            return [];
        }

        NullabilityInfoContext context = new();
        return [.. type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(p => p.GetCustomAttribute<KeyAttribute>() is not null && !p.PropertyType.IsPrimitive && !p.PropertyType.IsEnum)
            .Select(p => new Member(p, context.Create(p).ReadState == NullabilityState.Nullable))];
    }
}
