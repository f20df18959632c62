namespace Koala.Lab.Data;

/// <summary>The structs of a Parquet file's metadata, as the format defines them.</summary>
internal static class ParquetStructs
{
    // Each field has its number and its type: a number, a truth value, a byte, a double, a text (or bytes), a struct by its name, or a list
    // of any of these with a star.
    private static readonly Dictionary<string, string> s_fields = new()
    {
        ["FileMetaData"] = "1 number, 2 SchemaElement*, 3 number, 4 RowGroup*, 5 KeyValue*, 6 text, 7 ColumnOrder*, 9 text",
        ["SchemaElement"] = "1 number, 2 number, 3 number, 4 text, 5 number, 6 number, 7 number, 8 number, 9 number, 10 LogicalType",
        ["LogicalType"] = "1 Empty, 2 Empty, 3 Empty, 4 Empty, 5 DecimalType, 6 Empty, 7 TimeType, 8 TimeType, 10 IntType, 11 Empty, "
            + "12 Empty, 13 Empty, 14 Empty, 15 Empty, 16 VariantType, 17 GeoType, 18 GeoType",
        ["Empty"] = "",
        ["DecimalType"] = "1 number, 2 number",
        ["TimeType"] = "1 truth, 2 TimeUnit",
        ["TimeUnit"] = "1 Empty, 2 Empty, 3 Empty",
        ["IntType"] = "1 byte, 2 truth",
        ["VariantType"] = "1 byte",
        ["GeoType"] = "1 text, 2 number",
        ["KeyValue"] = "1 text, 2 text",
        ["ColumnOrder"] = "1 Empty",
        ["RowGroup"] = "1 ColumnChunk*, 2 number, 3 number, 4 SortingColumn*, 5 number, 6 number, 7 number",
        ["SortingColumn"] = "1 number, 2 truth, 3 truth",
        ["ColumnChunk"] = "1 text, 2 number, 3 ColumnMetaData, 4 number, 5 number, 6 number, 7 number, 9 text",
        ["ColumnMetaData"] = "1 number, 2 number*, 3 text*, 4 number, 5 number, 6 number, 7 number, 8 KeyValue*, 9 number, 10 number, "
            + "11 number, 12 Statistics, 13 PageEncodingStats*, 14 number, 15 number, 16 SizeStatistics, 17 GeospatialStatistics",
        ["Statistics"] = "1 text, 2 text, 3 number, 4 number, 5 text, 6 text, 7 truth, 8 truth",
        ["PageEncodingStats"] = "1 number, 2 number, 3 number",
        ["SizeStatistics"] = "1 number, 2 number*, 3 number*",
        ["GeospatialStatistics"] = "1 BoundingBox, 2 number*",
        ["BoundingBox"] = "1 double, 2 double, 3 double, 4 double, 5 double, 6 double, 7 double, 8 double",
        ["PageHeader"] = "1 number, 2 number, 3 number, 4 number, 5 DataPageHeader, 6 Empty, 7 DictionaryPageHeader, 8 DataPageHeaderV2",
        ["DataPageHeader"] = "1 number, 2 number, 3 number, 4 number, 5 Statistics",
        ["DictionaryPageHeader"] = "1 number, 2 number, 3 truth",
        ["DataPageHeaderV2"] = "1 number, 2 number, 3 number, 4 number, 5 number, 6 number, 7 truth, 8 Statistics",
    };

    private static readonly Dictionary<string, Dictionary<int, ThriftField>> s_read = s_fields.ToDictionary(
        item => item.Key,
        item => item.Value.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(field => field.Split(' '))
            .ToDictionary(field => int.Parse(field[0], System.Globalization.CultureInfo.InvariantCulture), field => Field(field[1])));

    /// <summary>The fields of a struct by their numbers.</summary>
    public static IReadOnlyDictionary<int, ThriftField> Fields(string name) => s_read[name];

    private static ThriftField Field(string type)
    {
        var plain = type.TrimEnd('*') switch
        {
            "number" => ThriftType.Int64,
            "truth" => ThriftType.True,
            "byte" => ThriftType.Byte,
            "double" => ThriftType.Double,
            "text" => ThriftType.Binary,
            _ => ThriftType.Struct,
        };
        var name = plain == ThriftType.Struct ? type.TrimEnd('*') : null;
        return type.EndsWith('*') ? new ThriftField(ThriftType.List, name, plain) : new ThriftField(plain, name);
    }
}
