DROP TABLE node_models;
DROP TABLE models;
DROP TABLE nodes;
